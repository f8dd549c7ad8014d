/* SPDX-License-Identifier: Apache-2.0 */
/* Dense sums of ternary inputs with an instruction that counts bits.
 *
 * Template. The including file defines
 *   VEC                    a vector of 32-bit lanes, with &
 *   COUNT_VECTORS          vectors of lanes that a tile works on at a time
 *   COUNT_TILE             positions of a tile
 *   COUNT_ZERO             0 in all lanes
 *   COUNT_LOAD(memory)     a vector from uint32_t[]
 *   COUNT_SPREAD(word)     a word in all lanes
 *   COUNT_SIGNS(a, b, g)   (a ^ b) & g
 *   COUNT_ADD(sum, bits)   sum + the number of bits of each part of a lane;
 *                          a part is a lane or a byte
 *   COUNT_STEPS            how often COUNT_ADD may be used on a sum
 *   COUNT_STORE(sums, gates, signs)   lanes of gates - 2 * signs to int32_t[]
 *   COUNT_FLUSH(wide, sum) wide + the parts of sum
 *   KERNEL_TARGET          attributes of functions
 *
 * A product is not 0 where both gates are 1, and then -1 where the signs
 * differ: sum = bits(gate) - 2 bits((sign ^ sign') & gate). */

enum { kCountLanes = sizeof(VEC) / sizeof(uint32_t) };

/* `count` is a constant wherever this is inlined. */
static inline __attribute__((always_inline)) KERNEL_TARGET void count_tile(
    const gxnor_host_tile* tile, int32_t first_lane, const int32_t count,
    gxnor_host_sums sums) {
  const uint32_t* weights = (const uint32_t*)tile->weights + first_lane;
  VEC gates[COUNT_TILE][COUNT_VECTORS], signs[COUNT_TILE][COUNT_VECTORS];
#if defined(COUNT_STEPS)
  VEC wide_gates[COUNT_TILE][COUNT_VECTORS];
  VEC wide_signs[COUNT_TILE][COUNT_VECTORS];
  int32_t steps = COUNT_STEPS;
#endif
  for (int32_t i = 0; i < count; ++i) {
    for (int32_t v = 0; v < COUNT_VECTORS; ++v) {
      gates[i][v] = signs[i][v] = COUNT_ZERO;
#if defined(COUNT_STEPS)
      wide_gates[i][v] = wide_signs[i][v] = COUNT_ZERO;
#endif
    }
  }
  for (int32_t row = 0; row < tile->rows; ++row) {
    for (int32_t column = 0; column < tile->columns; ++column) {
      const size_t offset =
          (size_t)row * tile->row_bytes + (size_t)column * tile->column_bytes;
      const uint32_t* inputs[COUNT_TILE];
      for (int32_t i = 0; i < count; ++i) {
        inputs[i] = (const uint32_t*)(const void*)(tile->inputs[i] + offset);
      }
      for (int32_t j = 0; j < tile->words; ++j, weights += 2 * GXNOR_LANES) {
        VEC gate[COUNT_VECTORS], sign[COUNT_VECTORS];
        for (int32_t v = 0; v < COUNT_VECTORS; ++v) {
          gate[v] = COUNT_LOAD(weights + v * kCountLanes);
          sign[v] = COUNT_LOAD(weights + GXNOR_LANES + v * kCountLanes);
        }
#pragma GCC unroll 8
        for (int32_t i = 0; i < count; ++i) {
          const VEC input_gate = COUNT_SPREAD(inputs[i][2 * j]);
          const VEC input_sign = COUNT_SPREAD(inputs[i][2 * j + 1]);
#pragma GCC unroll 8
          for (int32_t v = 0; v < COUNT_VECTORS; ++v) {
            const VEC both = gate[v] & input_gate;
            const VEC differ = COUNT_SIGNS(sign[v], input_sign, both);
            gates[i][v] = COUNT_ADD(gates[i][v], both);
            signs[i][v] = COUNT_ADD(signs[i][v], differ);
          }
        }
#if defined(COUNT_STEPS)
        if (--steps == 0) {
          steps = COUNT_STEPS;
          for (int32_t i = 0; i < count; ++i) {
            for (int32_t v = 0; v < COUNT_VECTORS; ++v) {
              wide_gates[i][v] = COUNT_FLUSH(wide_gates[i][v], gates[i][v]);
              wide_signs[i][v] = COUNT_FLUSH(wide_signs[i][v], signs[i][v]);
              gates[i][v] = signs[i][v] = COUNT_ZERO;
            }
          }
        }
#endif
      }
    }
  }
  for (int32_t i = 0; i < count; ++i) {
    for (int32_t v = 0; v < COUNT_VECTORS; ++v) {
#if defined(COUNT_STEPS)
      gates[i][v] = COUNT_FLUSH(wide_gates[i][v], gates[i][v]);
      signs[i][v] = COUNT_FLUSH(wide_signs[i][v], signs[i][v]);
#endif
      COUNT_STORE(sums[i] + first_lane + v * kCountLanes, gates[i][v],
                  signs[i][v]);
    }
  }
}

static KERNEL_TARGET void count_t2_sums(const gxnor_host_tile* tile,
                                        gxnor_host_sums sums) {
  for (int32_t lane = 0; lane < GXNOR_LANES;
       lane += COUNT_VECTORS * kCountLanes) {
    /* Only a constant count keeps the sums in registers. */
    switch (tile->count) {
      case 1:
        count_tile(tile, lane, 1, sums);
        break;
      case 2:
        count_tile(tile, lane, 2, sums);
        break;
      case 3:
        count_tile(tile, lane, 3, sums);
        break;
#if COUNT_TILE > 3
      case 4:
        count_tile(tile, lane, 4, sums);
        break;
      case 5:
        count_tile(tile, lane, 5, sums);
        break;
      default:
        count_tile(tile, lane, 6, sums);
        break;
#endif
    }
  }
}
