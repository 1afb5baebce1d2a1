"""Views, slices, joins, padding, foldings, and tensors made from a shape."""

import numpy as np

from mil_cases.case import Case, draw, integers

X, IMAGE = draw(2, 3, 4), draw(2, 8, 4, 6)
NUMBERS = integers(2, 3, 4)


def folded(image, block):
    """(n, C, H, W) -> (n, row in block, column in block, C, H / b, W / b), one slice a place."""
    rows = [np.stack([image[:, :, i::block, j::block] for j in range(block)], 1) for i in range(block)]
    return np.stack(rows, 1)


def unfolded(parts):
    """The inverse of `folded`."""
    n, block, _, channels, height, width = parts.shape
    image = np.zeros((n, channels, height * block, width * block))
    for i in range(block):
        for j in range(block):
            image[:, :, i::block, j::block] = parts[:, i, j]
    return image


def on(x, name, call, expected, target="iOS15"):
    return Case(name, {"x": x}, call, expected, target)


VIEWS = [
    on(X, "reshape", lambda mb, x: mb.reshape(x=x, shape=[3, -1, 2]), lambda x: x.reshape(3, 4, 2)),
    on(X, "reshape that keeps a size", lambda mb, x: mb.reshape(x=x, shape=[0, 2, -1]), lambda x: x.reshape(2, 2, 6)),
    on(X, "reshape that keeps sizes from the right", lambda mb, x: mb.reshape(x=x, shape=[1, -1, 0, 0]),
       lambda x: x[None], "iOS17"),
    Case("reshape_like", {"x": X, "y": draw(6, 2), "z": draw(7, 2)},
         lambda mb, x, y, z: mb.reshape_like(x=x, ref_tensors=(y, z), begins=(0, 1), ends=(2, 0),
                                             end_masks=(False, True)),
         lambda x, y, z: x.reshape(6, 2, 2), "iOS16"),
    on(X, "flatten2d", lambda mb, x: mb.flatten2d(x=x, axis=2), lambda x: x.reshape(6, 4)),
    on(X, "expand_dims", lambda mb, x: mb.expand_dims(x=x, axes=[-1, 1]), lambda x: x[:, None, :, :, None]),
    on(draw(1, 3, 1, 4), "squeeze", lambda mb, x: mb.squeeze(x=x, axes=[-2]), lambda x: x[:, :, 0]),
    on(draw(1, 3, 1, 4), "squeeze of all", lambda mb, x: mb.squeeze(x=x), lambda x: x[0, :, 0]),
    on(X, "transpose", lambda mb, x: mb.transpose(x=x, perm=[2, 0, -2]), lambda x: np.einsum("abc->cab", x)),
    on(X, "reverse", lambda mb, x: mb.reverse(x=x, axes=[0, -1]), lambda x: x[::-1, :, ::-1]),
    on(X, "reverse of all", lambda mb, x: mb.reverse(x=x), lambda x: x[::-1, ::-1, ::-1]),
    on(draw(5, 3, 2), "reverse_sequence",
       lambda mb, x: mb.reverse_sequence(x=x, lengths=[4, 0, 5], seq_axis=0, batch_axis=1),
       lambda x: np.stack([np.concatenate([x[:n, i][::-1], x[n:, i]]) for i, n in enumerate((4, 0, 5))], 1)),
]  # fmt: skip
SLICES = [
    on(X, "slice_by_index", lambda mb, x: mb.slice_by_index(x=x, begin=[0, 1, -3], end=[2, 3, -1]),
       lambda x: x[0:2, 1:3, -3:-1]),
    on(X, "slice_by_index with strides and masks",
       lambda mb, x: mb.slice_by_index(x=x, begin=[7, 2, 0], end=[2, 9, 4], stride=[1, -2, 3],
                                       begin_mask=[True, False, False], end_mask=[False, True, False]),
       lambda x: x[:2, 2::-2, 0:4:3]),
    on(X, "slice_by_index of one entry",
       lambda mb, x: mb.slice_by_index(x=x, begin=[0, -1, 1], end=[2, 0, 4], squeeze_mask=[False, True, False]),
       lambda x: x[:, -1, 1:4]),
    on(X, "slice_by_size", lambda mb, x: mb.slice_by_size(x=x, begin=[0, 1, -3], size=[2, -1, 2]),
       lambda x: x[:, 1:, 1:3]),
    Case("slice_update", {"x": X, "update": draw(2, 1, 2, seed=1)},
         lambda mb, x, update: mb.slice_update(x=x, update=update, begin=[0, 1, 0], end=[2, 2, 4], stride=[1, 1, 2]),
         lambda x, update: np.stack([x[:, 0], np.stack([update[:, 0, 0], x[:, 1, 1], update[:, 0, 1], x[:, 1, 3]], 1),
                                     x[:, 2]], 1), "iOS18"),
    on(X, "split", lambda mb, x: mb.split(x=x, num_splits=2, axis=-1), lambda x: (x[..., :2], x[..., 2:])),
    on(X, "split unevenly", lambda mb, x: mb.split(x=x, split_sizes=[1, 3], axis=2),
       lambda x: (x[..., :1], x[..., 1:])),
    on(IMAGE, "crop", lambda mb, x: mb.crop(x=x, crop_height=[1, 2], crop_width=[0, 3]), lambda x: x[:, :, 1:2, :3]),
    on(X, "sliding_windows", lambda mb, x: mb.sliding_windows(x=x, axis=2, size=2, stride=2),
       lambda x: np.stack([x[..., :2], x[..., 2:]], 2)),
    on(X, "sliding_windows of an inner axis", lambda mb, x: mb.sliding_windows(x=x, axis=1, size=2),
       lambda x: np.stack([x[:, 0:2], x[:, 1:3]], 1)),
]  # fmt: skip
JOINS = [
    Case("concat", {"x": X, "y": draw(2, 1, 4, seed=1)}, lambda mb, x, y: mb.concat(values=(x, y), axis=-2),
         lambda x, y: np.vstack([x.swapaxes(0, 1), y.swapaxes(0, 1)]).swapaxes(0, 1)),
    Case("concat, interleaved", {"x": X, "y": draw(2, 3, 4, seed=1)},
         lambda mb, x, y: mb.concat(values=(x, y), axis=1, interleave=True),
         lambda x, y: np.stack([(x, y)[i % 2][:, i // 2] for i in range(6)], 1)),
    Case("stack", {"x": X, "y": draw(2, 3, 4, seed=1)}, lambda mb, x, y: mb.stack(values=(x, y), axis=1),
         lambda x, y: np.array([x, y]).transpose(1, 0, 2, 3)),
    on(X, "tile", lambda mb, x: mb.tile(x=x, reps=[1, 2, 3]),
       lambda x: np.concatenate([np.concatenate([x, x], 1)] * 3, 2)),
    on(X, "pad", lambda mb, x: mb.pad(x=x, pad=[1, 0, 0, 2], constant_val=1.5),
       lambda x: np.pad(x, [(0, 0), (1, 0), (0, 2)], constant_values=1.5)),
    on(X, "pad, reflected", lambda mb, x: mb.pad(x=x, pad=[0, 0, 2, 1, 3, 2], mode="reflect"),
       lambda x: np.pad(x, [(0, 0), (2, 1), (3, 2)], "reflect")),
    on(X, "pad, replicated", lambda mb, x: mb.pad(x=x, pad=[0, 0, 2, 1, 3, 2], mode="replicate"),
       lambda x: np.pad(x, [(0, 0), (2, 1), (3, 2)], "edge")),
]  # fmt: skip
FOLDINGS = [
    on(IMAGE, "pixel_shuffle", lambda mb, x: mb.pixel_shuffle(x=x, upscale_factor=2),
       lambda x: unfolded(x.reshape(2, 2, 2, 2, 4, 6).transpose(0, 2, 3, 1, 4, 5))),
    on(IMAGE, "pixel_unshuffle", lambda mb, x: mb.pixel_unshuffle(x=x, downscale_factor=np.uint32(2)),
       lambda x: folded(x, 2).transpose(0, 3, 1, 2, 4, 5).reshape(2, 32, 2, 3), "iOS16"),
    on(IMAGE, "depth_to_space", lambda mb, x: mb.depth_to_space(x=x, block_size=2),
       lambda x: unfolded(x.reshape(2, 2, 2, 2, 4, 6))),
    on(IMAGE, "space_to_depth", lambda mb, x: mb.space_to_depth(x=x, block_size=2),
       lambda x: folded(x, 2).reshape(2, 32, 2, 3)),
    on(IMAGE, "space_to_batch", lambda mb, x: mb.space_to_batch(x=x, block_shape=[2, 2], paddings=[[1, 1], [0, 2]]),
       lambda x: folded(np.pad(x, [(0, 0), (0, 0), (1, 1), (0, 2)]), 2).transpose(1, 2, 0, 3, 4, 5)
       .reshape(8, 8, 3, 4)),
    on(draw(8, 3, 2, 2), "batch_to_space",
       lambda mb, x: mb.batch_to_space(x=x, block_shape=[2, 2], crops=[[0, 1], [1, 0]]),
       lambda x: unfolded(x.reshape(2, 2, 2, 3, 2, 2).transpose(2, 0, 1, 3, 4, 5))[:, :, :-1, 1:]),
]  # fmt: skip
MADE = [
    on(X, "band_part", lambda mb, x: mb.band_part(x=x, lower=1, upper=0), lambda x: np.tril(x) - np.tril(x, -2)),
    on(X, "band_part, upper", lambda mb, x: mb.band_part(x=x, lower=0, upper=-1), np.triu),
    on(X, "shape", lambda mb, x: mb.shape(x=x), lambda x: np.array([2, 3, 4])),
    Case("fill", {"shape": np.array([2, 3], np.int32)},
         lambda mb, shape: mb.reshape(x=mb.fill(shape=shape, value=1.5), shape=[2, 3]),
         lambda shape: np.full((2, 3), 1.5)),
    on(X, "fill_like", lambda mb, x: mb.fill_like(ref_tensor=x, value=-0.5), lambda x: x * 0 - 0.5, "iOS16"),
    Case("range_1d", {"end": np.array([11], np.int32)},
         lambda mb, end: mb.reshape(x=mb.range_1d(start=2, end=mb.squeeze(x=end), step=3), shape=[3]),
         lambda end: np.array([2, 5, 8])),
]  # fmt: skip
INTEGERS = [
    Case("transpose of integers", {"x": NUMBERS}, lambda mb, x: mb.transpose(x=x, perm=[1, 2, 0]),
         lambda x: x.transpose(1, 2, 0)),
]  # fmt: skip
CASES = VIEWS + SLICES + JOINS + FOLDINGS + MADE + INTEGERS
