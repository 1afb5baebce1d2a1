"""Muon against torch's own, which takes one matrix after another."""

import copy

import pytest
import torch
from torch import nn

from mobigen.train.muon import Muon, orthogonalised

SHAPES = [(6, 6), (12, 5), (6, 6), (5, 12), (12, 5), (6, 6)]


def new_matrices():
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def give_gradients(matrices, step):
    generator = torch.Generator().manual_seed(step + 1)
    for matrix in matrices:
        matrix.grad = torch.randn(matrix.shape, generator=generator)


def test_it_is_torchs_own_for_many_steps():
    ours, theirs = new_matrices(), new_matrices()
    muon = Muon(ours, lr=0.02, weight_decay=0.1)
    reference = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for step in range(6):
        for matrices, optimizer in ((ours, muon), (theirs, reference)):
            give_gradients(matrices, step)
            optimizer.param_groups[0]["lr"] = 0.02 / (step + 1)
            optimizer.step()
    for before, mine, other in zip(new_matrices(), ours, theirs, strict=True):
        assert (mine - other).norm() < 0.01 * (mine - before).norm()  # bfloat16, summed in another order
        torch.testing.assert_close(
            muon.state[mine]["momentum_buffer"], reference.state[other]["momentum_buffer"], rtol=1e-6, atol=1e-7
        )


def test_a_kernel_is_the_matrix_of_its_outputs():
    kernels = [nn.Parameter(torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(seed))) for seed in (0, 1)]
    flat = [nn.Parameter(kernel.detach().flatten(1)) for kernel in kernels]
    for matrices in (kernels, flat):
        optimizer = Muon(matrices, lr=0.02, weight_decay=0.1)
        for step in range(3):
            give_gradients(flat, step)
            for matrix, other in zip(matrices, flat, strict=True):
                assert other.grad is not None
                matrix.grad = other.grad.reshape(matrix.shape)
            optimizer.step()
    assert all(torch.equal(kernel.flatten(1), matrix) for kernel, matrix in zip(kernels, flat, strict=True))


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 4, 9), (2, 9, 4)])
def test_singular_values_come_near_one_and_vectors_stay(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    values = left.mT @ orthogonalised(matrices).float() @ right.mT
    diagonal = values.diagonal(dim1=1, dim2=2)
    assert ((diagonal > 0.6) & (diagonal < 1.25)).all()
    assert (values - torch.diag_embed(diagonal)).abs().max() < 0.1


def test_a_state_goes_on_bit_for_bit():
    one = new_matrices()
    optimizer = Muon(one, lr=0.02, weight_decay=0.1)
    give_gradients(one, 0)
    optimizer.step()
    other = [nn.Parameter(matrix.detach().clone()) for matrix in one]
    resumed = Muon(other, lr=0.5, weight_decay=0.0)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for matrices, each in ((one, optimizer), (other, resumed)):
        give_gradients(matrices, 1)
        each.step()
    assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def test_a_matrix_without_a_gradient_stays():
    matrices = new_matrices()
    give_gradients(matrices[1:], 0)
    Muon(matrices, lr=0.02, weight_decay=0.1).step()
    moved = [not torch.equal(old, new) for old, new in zip(new_matrices(), matrices, strict=True)]
    assert moved == [False, *[True] * (len(SHAPES) - 1)]
