/* SPDX-License-Identifier: Apache-2.0 */
/* Dense sums of ternary inputs where counting bits takes several operations.
 *
 * Template. The including file defines
 *   VEC                a vector of 64-bit elements, two lanes each, with
 *                      & | ^ ~ + - << >>
 *   CARRY_TILE         positions of a tile
 *   CARRY_LOAD(memory) a vector from uint32_t[]
 *   CARRY_STORE(memory, vector)
 *   CARRY_SPREAD(word) a 32-bit word in all lanes
 *   CARRY_BYTES(vector)   the number of bits of each byte
 *   CARRY_FILL(number) a 64-bit number in all elements
 *   KERNEL_TARGET      attributes of functions
 *
 * Product + 1 = 2 P + Z, P where the product is 1 and Z where it is 0. A plane
 * of ones takes up Z; what it carries over has the weight 2, as has P, which
 * excludes Z. Of two products then one word of weight 4 is counted. */

enum { kCarryLanes = sizeof(VEC) / sizeof(uint32_t) };

typedef struct carry_sum {
  VEC ones, twos;
  VEC fours; /* Counts by byte. */
} carry_sum;

static inline __attribute__((always_inline)) KERNEL_TARGET VEC
carry_product(VEC* ones, VEC gate, VEC sign, const uint32_t* input) {
  const VEC both = gate & CARRY_SPREAD(input[0]);
  const VEC plus = both & ~(sign ^ CARRY_SPREAD(input[1]));
  const VEC carry = plus | (*ones & ~both);
  *ones ^= ~both;
  return carry;
}

/* Adds up the bytes of each lane. */
static inline KERNEL_TARGET VEC carry_lanes(VEC bytes) {
  const VEC pairs = (bytes & CARRY_FILL(0x00FF00FF00FF00FFu)) +
                    (bytes >> 8 & CARRY_FILL(0x00FF00FF00FF00FFu));
  return (pairs + (pairs >> 16)) & CARRY_FILL(0x0000FFFF0000FFFFu);
}

static inline __attribute__((always_inline)) KERNEL_TARGET void carry_tile(
    const gxnor_host_tile* tile, int32_t first, int32_t lane,
    const int32_t count, gxnor_host_sums sums) {
  /* A step adds at most 8 to a byte. */
  enum { kSteps = 31 };
  const uint32_t* weights = (const uint32_t*)tile->weights + lane;
  carry_sum sum[CARRY_TILE];
  VEC wide[CARRY_TILE];
  int32_t steps = kSteps;
  for (int32_t i = 0; i < count; ++i) {
    sum[i].ones = sum[i].twos = sum[i].fours = wide[i] = CARRY_FILL(0);
  }
  for (int32_t row = 0; row < tile->rows; ++row) {
    for (int32_t column = 0; column < tile->columns; ++column) {
      const size_t offset =
          (size_t)row * tile->row_bytes + (size_t)column * tile->column_bytes;
      const uint32_t* inputs[CARRY_TILE];
      int32_t left = tile->words;
      for (int32_t i = 0; i < count; ++i) {
        inputs[i] =
            (const uint32_t*)(const void*)(tile->inputs[first + i] + offset);
      }
      while (left > 0) {
        const bool two = left > 1;
        const VEC gate_a = CARRY_LOAD(weights);
        const VEC sign_a = CARRY_LOAD(weights + GXNOR_LANES);
        VEC gate_b = CARRY_FILL(0), sign_b = CARRY_FILL(0);
        if (two) {
          gate_b = CARRY_LOAD(weights + 2 * GXNOR_LANES);
          sign_b = CARRY_LOAD(weights + 3 * GXNOR_LANES);
        }
#pragma GCC unroll 4
        for (int32_t i = 0; i < count; ++i) {
          carry_sum* const s = &sum[i];
          const uint32_t* const input = inputs[i];
          const VEC a = carry_product(&s->ones, gate_a, sign_a, input);
          /* Without a second word this counts a product of 0. */
          const VEC b =
              carry_product(&s->ones, gate_b, sign_b, two ? input + 2 : input);
          const VEC differ = a ^ b;
          const VEC carry = (a & b) | (differ & s->twos);
          s->twos ^= differ;
          s->fours += CARRY_BYTES(carry);
          inputs[i] = input + 4;
        }
        weights += two ? 4 * GXNOR_LANES : 2 * GXNOR_LANES;
        left -= 2;
        if (--steps == 0) {
          steps = kSteps;
          for (int32_t i = 0; i < count; ++i) {
            wide[i] += carry_lanes(sum[i].fours);
            sum[i].fours = CARRY_FILL(0);
          }
        }
      }
    }
  }
  {
    /* Every product counts 1 too much, those of missing words, too. */
    const uint64_t products = (uint64_t)32 * 2 *
                              (uint64_t)((tile->words + 1) / 2) *
                              (uint64_t)tile->rows * (uint64_t)tile->columns;
    for (int32_t i = 0; i < count; ++i) {
      const VEC fours = wide[i] + carry_lanes(sum[i].fours);
      const VEC twos = carry_lanes(CARRY_BYTES(sum[i].twos));
      const VEC ones = carry_lanes(CARRY_BYTES(sum[i].ones));
      uint32_t lanes[kCarryLanes];
      CARRY_STORE(lanes, (fours << 2) + (twos << 1) + ones);
      for (int32_t k = 0; k < kCarryLanes; ++k) {
        sums[first + i][lane + k] = (int32_t)(lanes[k] - (uint32_t)products);
      }
    }
  }
}

static KERNEL_TARGET void carry_t2_sums(const gxnor_host_tile* tile,
                                        gxnor_host_sums sums) {
  for (int32_t lane = 0; lane < GXNOR_LANES; lane += kCarryLanes) {
    for (int32_t i = 0; i < tile->count; i += CARRY_TILE) {
      /* Only a constant count keeps the sums in registers. */
      switch (tile->count - i) {
        case 1:
          carry_tile(tile, i, lane, 1, sums);
          break;
#if CARRY_TILE > 2
        case 2:
          carry_tile(tile, i, lane, 2, sums);
          break;
#endif
        default:
          carry_tile(tile, i, lane, CARRY_TILE, sums);
          break;
      }
    }
  }
}
