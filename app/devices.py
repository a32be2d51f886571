"""Where networks run: the setting, and what this machine has."""

import torch

from app.settings import BadSetting


def chosen_device(name: str) -> torch.device:
    """The device of the setting: "auto" is CUDA's if there is one, else the CPU.

    Raises:
        BadSetting: this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind != "cuda":
        return torch.device(name)
    if not torch.cuda.is_available():
        raise BadSetting(
            f"SERVAL_DEVICE is {name!r}, and this machine has no CUDA device: give auto or cpu."
        )
    count = torch.cuda.device_count()
    if number and int(number) >= count:
        raise BadSetting(
            f"SERVAL_DEVICE is {name!r}, and this machine has {count} CUDA devices: give one of"
            f" cuda:0 to cuda:{count - 1}, or auto."
        )
    return torch.device(name)
