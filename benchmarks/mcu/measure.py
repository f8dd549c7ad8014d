# SPDX-License-Identifier: Apache-2.0
"""Measures workloads on a core."""

from collections.abc import Sequence
from typing import Any

from benchmarks.mcu import cores, layers, nets, published, workloads

Row = dict[str, Any]

_LAYER_FUNCTIONS = {
    layers.Kernel.CONV2D_T2_T2: (
        "gxnor_conv2d_t2_t2",
        "gxnor_conv2d_get_buffer_size",
        "gxnor_fully_connected_get_params",
    ),
    layers.Kernel.CONV2D_S8_T2: (
        "gxnor_conv2d_s8_t2",
        "gxnor_conv2d_s8_get_buffer_size",
    ),
}
_NET_FUNCTIONS = ("model_init", "model_invoke", "model_arena_bytes")


def layer_rows(
    bench: cores.Bench, name: str, densities: Sequence[float]
) -> list[Row]:
    """Measures a layer.

    Args:
        bench: The core.
        name: A key of `workloads.LAYERS`.
        densities: Shares that are not 0, a row for each.

    Raises:
        cores.ImageError: If an image cannot be built or run.
    """
    made = [workloads.layer(name, density) for density in densities]
    rows = []
    for density, layer in zip(densities, made, strict=True):
        image = bench.folder / f"{name}-{density}.elf"
        layers.build_image(bench.core, [layer], bench.objects, image)
        [run] = layers.run_image(bench.core, [layer], image)
        kind = layers.Kernel.CONV2D_T2_T2
        if layer.kernel == layers.Kernel.CONV2D_S8_T2:
            kind = layer.kernel
        rows.append(
            _row(bench.core, name, density, run.instructions, layer.macs)
            | {
                "exact": not run.fault,
                "fault": run.fault,
                "flash_bytes": layer.weights.nbytes + layer.thresholds.nbytes,
                "code_bytes": cores.linked_bytes(
                    bench.core,
                    bench.kernels,
                    _LAYER_FUNCTIONS[kind],
                    bench.folder,
                ),
                "buffer_bytes": run.buffer_bytes,
            }
        )
    return rows


def net_row(
    bench: cores.Bench, name: str, density: float, net: nets.Net
) -> Row:
    """Measures a net.

    Args:
        bench: The core.
        name: Its name in the row.
        density: Share of activations that are not 0.
        net: The net.

    Raises:
        cores.ImageError: If the image cannot be built or run.
    """
    image = bench.folder / f"{name}-{density}.elf"
    model = nets.build_image(bench.core, net, bench.objects, image)
    run = nets.run_image(bench.core, net, image)
    linked = cores.linked_bytes(
        bench.core, [model, *bench.kernels], _NET_FUNCTIONS, bench.folder
    )
    return _row(bench.core, name, density, run.instructions, net.macs) | {
        "exact": not run.fault,
        "fault": run.fault,
        "flash_bytes": net.flash_bytes,
        "code_bytes": linked - net.flash_bytes,
        "arena_bytes": net.source.arena_bytes,
        "stack_bytes": run.stack_bytes,
        "ram_bytes": net.source.arena_bytes + run.stack_bytes,
    }


def _row(
    core: cores.Core, name: str, density: float, instructions: int, macs: int
) -> Row:
    """A row with all keys."""
    return {
        "core": core.name,
        "workload": name,
        "density": density,
        "instructions": instructions,
        "macs": macs,
        "instructions_per_mac": instructions / macs,
        "int8_instructions_per_mac": published.INT8_PER_MAC.get(name, {}).get(
            core.name
        ),
        "exact": False,
        "fault": "",
        "flash_bytes": 0,
        "code_bytes": 0,
        "buffer_bytes": None,
        "arena_bytes": None,
        "stack_bytes": None,
        "ram_bytes": None,
    }
