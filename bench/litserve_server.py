"""A network behind LitServe, as its documentation has it: for `bench.litserve`, in LitServe's own
environment.

    python -m bench.litserve_server PORT FOLDER plain|served PACKAGES

FOLDER holds weights and configuration, and PACKAGES is a folder with torch: that of Serval, so that
both compute with the same.
"""

import sys
from pathlib import Path
from typing import Any

import litserve as ls
from fastapi import Request

WORKERS = 2
BATCH = 8
BATCH_TIMEOUT_SECONDS = 0.002
"""Without one, LitServe's workers ask for work without a pause, and keep both cores busy."""


class Predict(ls.LitAPI):
    """Decodes a clip, computes features, and scores up to eight of them together."""

    def __init__(self, folder: str, view: str, packages: str) -> None:
        super().__init__(max_batch_size=BATCH, batch_timeout=BATCH_TIMEOUT_SECONDS)
        self._folder, self._view, self._packages = Path(folder), view, packages

    def setup(self, device: str) -> None:  # noqa: ARG002  (LitServe passes it)
        """Load the network, with one thread."""
        sys.path.append(self._packages)
        import torch

        from models.checkpoint import CONFIG, WEIGHTS, ModelConfig, network
        from models.features import LogMel
        from models.serving import served

        torch.set_num_threads(1)
        self._config = ModelConfig.from_json((self._folder / CONFIG).read_bytes())
        net = network((self._folder / WEIGHTS).read_bytes(), self._config)
        if self._view == "served":
            net = served(net, torch.device("cpu"), self._config.frames)
        self._network, self._log_mel = net, LogMel()

    def decode_request(self, request: Request) -> Any:
        """A window of features, (1, frames, mels)."""
        import torch

        from models.audio import decode
        from models.features import windows

        with torch.inference_mode():
            clip = decode(request["content"].file.read())
            features = self._config.standardizer(self._log_mel(torch.from_numpy(clip.samples)))
            return windows(features, self._config.frames)

    def batch(self, inputs: list[Any]) -> Any:
        """All of them as one tensor."""
        import torch

        return torch.cat(inputs)

    def predict(self, x: Any) -> Any:
        """Probabilities, (batch, classes)."""
        import torch

        with torch.inference_mode():
            return self._network(x).double().softmax(1)

    def unbatch(self, output: Any) -> list[Any]:
        """One by one."""
        return list(output)

    def encode_response(self, output: Any) -> dict[str, Any]:
        """As Serval's answer has them."""
        scores = zip(self._config.labels, output.tolist(), strict=True)
        return {"scores": [{"label": label, "score": score} for label, score in scores]}


if __name__ == "__main__":
    port, *given = sys.argv[1:]
    server = ls.LitServer(Predict(*given), accelerator="cpu", workers_per_device=WORKERS)
    server.run(host="127.0.0.1", port=int(port), log_level="warning", generate_client_file=False)
