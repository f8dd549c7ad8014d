/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "gxnor/pack.h"
#include "problem.h"

static const int32_t kChannels[] = {1, 31, 32, 33, 64, 100};
static const uint32_t kGuard = 0x5A5A5A5Au;

/* Packs between two guard words, which must survive; the caller frees the
 * array and finds the output from its second word on. */
static uint32_t* run(int32_t positions, int32_t channels, const int8_t* input) {
  const gxnor_pack_params params = {positions, channels};
  const size_t words = (size_t)(positions * ((channels + 31) / 32) * 2);
  uint32_t* const output = allocate(words + 2, sizeof *output);
  memset(output, 0x5A, (words + 2) * sizeof *output);
  CHECK_EQ(gxnor_pack_s8_t2(&params, input, output + 1), GXNOR_OK);
  CHECK_EQ(output[0], kGuard);
  CHECK_EQ(output[words + 1], kGuard);
  return output;
}

static void test_random_states(void) {
  uint32_t seed = 1;
  for (size_t i = 0; i < sizeof kChannels / sizeof kChannels[0]; ++i) {
    for (int32_t positions = 1; positions <= 7; positions += 3) {
      const size_t count = (size_t)(positions * kChannels[i]);
      int8_t* const input = allocate(count, 1);
      uint32_t *expected, *output;
      size_t words;
      for (size_t j = 0; j < count; ++j) {
        input[j] = (int8_t)random_in(&seed, -1, 1);
      }
      expected = pack_states(input, (size_t)positions, kChannels[i], &words);
      output = run(positions, kChannels[i], input);
      CHECK(memcmp(output + 1, expected, words * sizeof *output) == 0);
      free(input);
      free(expected);
      free(output);
    }
  }
}

/* All of one state: every channel has its bit, the tail has none. */
static void test_constant_states(void) {
  for (size_t i = 0; i < sizeof kChannels / sizeof kChannels[0]; ++i) {
    const int32_t channels = kChannels[i];
    int8_t* const input = allocate((size_t)channels, 1);
    for (int state = -1; state <= 1; ++state) {
      uint32_t* output;
      memset(input, state, (size_t)channels);
      output = run(1, channels, input);
      for (int32_t first = 0; first < channels; first += 32) {
        const int32_t lanes = channels - first < 32 ? channels - first : 32;
        const uint32_t all = 0xFFFFFFFFu >> (32 - lanes);
        const uint32_t* const pair = output + 1 + first / 32 * 2;
        CHECK_EQ(pair[0], state == 1 ? all : 0);
        CHECK_EQ(pair[1], state == -1 ? all : 0);
      }
      free(output);
    }
    free(input);
  }
}

/* Of what is no state the sign counts: all values there are. */
static void test_signs(void) {
  int8_t input[3 * 257];
  uint32_t* output;
  for (int i = 0; i < 3 * 257; ++i) input[i] = (int8_t)(i % 256 - 128);
  output = run(3, 257, input);
  for (int i = 0; i < 3 * 257; ++i) {
    const int channel = i % 257;
    const uint32_t* const pair = output + 1 + (i / 257 * 9 + channel / 32) * 2;
    CHECK_EQ((pair[0] >> channel % 32) & 1u, input[i] > 0);
    CHECK_EQ((pair[1] >> channel % 32) & 1u, input[i] < 0);
  }
  free(output);
}

static void test_errors(void) {
  gxnor_pack_params params = {1, 1};
  const int8_t input[1] = {1};
  uint32_t output[2] = {kGuard, kGuard};
  CHECK_EQ(gxnor_pack_s8_t2(NULL, input, output), GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_pack_s8_t2(&params, NULL, output), GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_pack_s8_t2(&params, input, NULL), GXNOR_ERR_ARG);
  params.channels = 0;
  CHECK_EQ(gxnor_pack_s8_t2(&params, input, output), GXNOR_ERR_SHAPE);
  params.channels = 1;
  params.positions = INT32_MAX;
  CHECK_EQ(gxnor_pack_s8_t2(&params, input, output), GXNOR_ERR_SHAPE);
  CHECK_EQ(output[0], kGuard);
  CHECK_EQ(output[1], kGuard);
}

int main(void) {
  test_random_states();
  test_constant_states();
  test_signs();
  test_errors();
  return check_result();
}
