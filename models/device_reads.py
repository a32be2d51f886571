"""When the host may ask a device for a number."""

import torch


def cheap_to_read(device: torch.device) -> bool:
    """Whether a number can be read without waiting: a CPU has done all that it was asked for, a GPU
    would first have to do so, and would then stand idle until it is asked for more."""
    return device.type == "cpu"
