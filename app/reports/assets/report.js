// The players of an exhibit share one place in time: whichever plays, the others follow silently,
// so that a switch from the original to the attack goes on where it was. Without this script each
// player still works by itself.
"use strict";

for (const exhibit of document.querySelectorAll(".exhibit[data-players]")) {
  const players = [...exhibit.querySelectorAll("audio")];
  const buttons = [...exhibit.querySelectorAll(".switch button")];
  let current = players[0];

  const show = (player) => {
    current = player;
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.player === player.id));
    }
  };
  const follow = (player) => {
    for (const other of players) {
      if (other !== player && other.paused && Math.abs(other.currentTime - player.currentTime) > 0.001) {
        other.currentTime = player.currentTime;
      }
    }
  };
  const switchTo = (player) => {
    if (player === current) return;
    const before = current;
    const playing = !before.paused;
    before.pause();
    player.currentTime = before.currentTime;
    show(player);
    if (playing) player.play().catch(() => {});
  };

  for (const player of players) {
    player.addEventListener("play", () => {
      if (player !== current) {
        const before = current;
        before.pause();
        player.currentTime = before.currentTime;
        show(player);
      }
      for (const other of document.querySelectorAll("audio")) {
        if (other !== player) other.pause();
      }
    });
    player.addEventListener("pause", () => { if (player === current) follow(player); });
    player.addEventListener("seeked", () => { if (player === current) follow(player); });
  }
  for (const button of buttons) {
    button.addEventListener("click", () => switchTo(document.getElementById(button.dataset.player)));
  }
  exhibit.querySelector(".switch").hidden = false;
  show(current);
}

// What is folded on a screen is spread out on paper.
const folded = [];
addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("details[data-print]:not([open])")) {
    one.open = true;
    folded.push(one);
  }
});
addEventListener("afterprint", () => { for (const one of folded.splice(0)) one.open = false; });
