/* SPDX-License-Identifier: Apache-2.0 */
/* What needs no instructions of its own: compilers make vectors of it. */

static void plain_s8_sums(const gxnor_host_tile* tile, gxnor_host_sums sums) {
  for (int32_t i = 0; i < tile->count; ++i) {
    const int8_t* weights = tile->weights;
    int32_t* const sum = sums[i];
    for (int32_t k = 0; k < GXNOR_LANES; ++k) sum[k] = tile->biases[k];
    for (int32_t row = 0; row < tile->rows; ++row) {
      for (int32_t column = 0; column < tile->columns; ++column) {
        const uint8_t* input = tile->inputs[i] + (size_t)row * tile->row_bytes +
                               (size_t)column * tile->column_bytes;
        for (int32_t j = 0; j < tile->words; ++j, input += 4) {
          for (int32_t k = 0; k < GXNOR_LANES; ++k, weights += 4) {
            sum[k] += input[0] * weights[0] + input[1] * weights[1] +
                      input[2] * weights[2] + input[3] * weights[3];
          }
        }
      }
    }
  }
}

static void plain_compare(const int32_t* sums, const int32_t* thresholds,
                          uint32_t* pair) {
  uint32_t plus = 0, minus = 0;
  for (int32_t k = 0; k < GXNOR_LANES; ++k) {
    plus |= (uint32_t)(sums[k] >= thresholds[k]) << k;
    minus |= (uint32_t)(sums[k] < thresholds[GXNOR_LANES + k]) << k;
  }
  pair[0] = plus;
  pair[1] = minus;
}
