/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "gxnor/fully_connected.h"
#include "problem.h"

static void test_covers_the_input(void) {
  gxnor_conv2d_params p;
  gxnor_conv2d_shape s;
  memset(&p, 0xA5, sizeof p);
  CHECK_EQ(gxnor_fully_connected_get_params(7, 4, 5, 33, 10, &p), GXNOR_OK);
  CHECK_EQ(gxnor_conv2d_get_shape(&p, &s), GXNOR_OK);
  CHECK_EQ(p.batches, 7);
  CHECK_EQ(s.output_height, 1);
  CHECK_EQ(s.output_width, 1);
  CHECK_EQ(s.depth, 4 * 5 * 33);
}

/* A 4x5x33 input, seen as a matrix product. */
static void test_sums(void) {
  gxnor_conv2d_params params;
  problem p;
  uint32_t *input, *weights;
  int32_t* output;
  gxnor_fully_connected_get_params(2, 4, 5, 33, 10, &params);
  p = make_problem(params, 1, 1);
  input = pack_input(&p);
  weights = pack_weights(&p);
  output = allocate(2 * 10, sizeof *output);
  CHECK_EQ(gxnor_conv2d_t2_s32(&p.params, input, weights, NULL, 0, output),
           GXNOR_OK);
  for (size_t n = 0; n < 2; ++n) {
    for (size_t o = 0; o < 10; ++o) {
      int32_t sum = 0;
      for (size_t i = 0; i < 4 * 5 * 33; ++i) {
        sum += p.input[n * 4 * 5 * 33 + i] * p.weights[o * 4 * 5 * 33 + i];
      }
      CHECK_EQ(output[n * 10 + o], sum);
    }
  }
  free(input);
  free(weights);
  free(output);
  free_problem(&p);
}

int main(void) {
  test_covers_the_input();
  test_sums();
  CHECK_EQ(gxnor_fully_connected_get_params(1, 1, 1, 1, 1, NULL),
           GXNOR_ERR_ARG);
  return check_result();
}
