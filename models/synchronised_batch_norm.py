"""Batch norm over the clips of all processes of a training (Ioffe & Szegedy, ICML 2015, Alg. 1).

Each process normalises its share of a batch by mean and variance of the whole batch, so that so
many processes with a share each are one with all of it. torch's own ``SyncBatchNorm`` runs on GPUs
alone; this one runs wherever torch.distributed does. Every process must make the same passes, in
the same order, on shares of the same size.

The forward pass gathers means and variances m_r, v_r of the shares and joins them without the
cancellation of E[x²] − E[x]² (Chan et al., 1983, for equal shares)

    m = mean_r m_r,    v = mean_r (v_r + (m_r − m)²)

The backward pass sums the gradients of scale and shift over all, since each clip moves the
statistics by which all others are normalised.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional


class _Normalise(torch.autograd.Function):
    """(x, scale, shift) → normalised x, mean and biased variance of the whole batch."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        wide, dims = _wide(x), [0, *range(2, x.ndim)]
        variance, mean = torch.var_mean(wide, dims, correction=0)
        own = torch.stack((mean, variance))
        gathered = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
        distributed.all_gather(gathered, own)
        means, variances = torch.stack(gathered).unbind(1)
        mean = means.mean(0)
        variance = (variances + (means - mean).square()).mean(0)
        ctx.dims = dims
        ctx.save_for_backward(x, weight, mean, torch.rsqrt(variance + eps))
        ctx.mark_non_differentiable(mean, variance)
        y = functional.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)
        return y, mean, variance

    @staticmethod
    def backward(
        ctx: Any, gradient: Tensor, *_: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        x, weight, mean, inverse = ctx.saved_tensors
        of_y, shape = _wide(gradient), [1, -1, *[1] * (x.ndim - 2)]
        normal = (_wide(x) - mean.view(shape)) * inverse.view(shape)
        own = torch.stack((of_y.sum(ctx.dims), (of_y * normal).sum(ctx.dims)))
        summed = own.clone()
        distributed.all_reduce(summed)
        values = x.numel() // x.shape[1] * distributed.get_world_size()
        shift, scale = (summed / values).unbind(0)
        factor = inverse if weight is None else inverse * weight
        of_x = (of_y - shift.view(shape) - normal * scale.view(shape)) * factor.view(shape)
        return (
            of_x.to(x.dtype),
            None if weight is None else own[1].to(weight.dtype),
            None if weight is None else own[0].to(weight.dtype),
            None,
        )


def _wide(x: Tensor) -> Tensor:
    """At least float32: sums over a batch are no business of 16 bits."""
    return x if x.dtype == torch.float64 else x.float()


def _normalised(layer: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor) -> Tensor:
    result: tuple[Tensor, Tensor, Tensor] = _Normalise.apply(  # type: ignore[no-untyped-call]
        x, layer.weight, layer.bias, layer.eps
    )
    y, mean, variance = result
    values = x.numel() // x.shape[1] * distributed.get_world_size()
    _learn(layer, mean, variance * values / (values - 1))
    return y


@torch.no_grad()
def _learn(layer: nn.BatchNorm1d | nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """Take the statistics of a batch into the running ones, the variance unbiased."""
    if layer.running_mean is None or layer.running_var is None:
        return
    assert layer.num_batches_tracked is not None
    layer.num_batches_tracked.add_(1)
    share = layer.momentum
    if share is None:  # a plain average of all batches
        share = 1 / float(layer.num_batches_tracked)
    layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), share)
    layer.running_var.lerp_(variance.to(layer.running_var.dtype), share)


class SynchronisedBatchNorm1d(nn.BatchNorm1d):
    """Of (batch, channels) or (batch, channels, time); in evaluation mode nobody is asked."""

    def forward(self, input: Tensor) -> Tensor:
        """See ``torch.nn.BatchNorm1d``."""
        if not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        return _normalised(self, input)


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """Of (batch, channels, height, width); in evaluation mode nobody is asked."""

    def forward(self, input: Tensor) -> Tensor:
        """See ``torch.nn.BatchNorm2d``."""
        if not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        return _normalised(self, input)


KINDS: Final[dict[type[nn.Module], type[nn.Module]]] = {
    nn.BatchNorm1d: SynchronisedBatchNorm1d,
    nn.BatchNorm2d: SynchronisedBatchNorm2d,
}

BATCH_NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


@contextmanager
def synchronised(net: nn.Module) -> Iterator[None]:
    """Let every batch norm of a network speak with those of the other processes until this is left.

    The layers change their class and nothing else: parameters, statistics and their names are the
    same objects, so an optimiser and a checkpoint notice nothing.

    Raises:
        ValueError: it has a layer that normalises by its batch in a way that is not known here.
    """
    changing: list[nn.Module] = [one for one in net.modules() if isinstance(one, BATCH_NORMS)]
    for one in changing:
        if type(one) not in KINDS:
            raise ValueError(f"{type(one).__name__} cannot be trained by several processes")
    kinds = [type(one) for one in changing]
    try:
        for one in changing:
            one.__class__ = KINDS[type(one)]
        yield
    finally:
        for one, kind in zip(changing, kinds, strict=True):
            one.__class__ = kind


__all__ = ["synchronised"]
