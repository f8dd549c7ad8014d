/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "gxnor/pack.h"
#include "problem.h"

enum { kGuard = 0x5A };

/* Unpacks between two guard bytes, which must survive; the caller frees the
 * array and finds the output from its second byte on. */
static int8_t* run(int32_t positions, int32_t channels, const uint32_t* input) {
  const gxnor_pack_params params = {positions, channels};
  const size_t count = (size_t)(positions * channels);
  int8_t* const output = allocate(count + 2, 1);
  memset(output, kGuard, count + 2);
  CHECK_EQ(gxnor_unpack_t2_s8(&params, input, output + 1), GXNOR_OK);
  CHECK_EQ(output[0], kGuard);
  CHECK_EQ(output[count + 1], kGuard);
  return output;
}

/* Any words: each channel is its bit in plus less that in minus, both bits
 * give 0, and the tail bits are ignored. */
static void test_random_words(void) {
  static const int32_t kChannels[] = {1, 31, 32, 33, 64, 100};
  uint32_t seed = 1;
  for (size_t i = 0; i < sizeof kChannels / sizeof kChannels[0]; ++i) {
    const int32_t channels = kChannels[i];
    const int32_t groups = (channels + 31) / 32;
    for (int32_t positions = 1; positions <= 7; positions += 3) {
      const size_t words = (size_t)(positions * groups * 2);
      uint32_t* const input = allocate(words, sizeof *input);
      int8_t* output;
      for (size_t j = 0; j < words; ++j) input[j] = next_random(&seed);
      output = run(positions, channels, input);
      for (int32_t p = 0; p < positions; ++p) {
        for (int32_t c = 0; c < channels; ++c) {
          const uint32_t* const pair = input + (p * groups + c / 32) * 2;
          const int plus = (pair[0] & (1u << c % 32)) != 0;
          const int minus = (pair[1] & (1u << c % 32)) != 0;
          CHECK_EQ(output[1 + p * channels + c], plus - minus);
        }
      }
      free(input);
      free(output);
    }
  }
}

static void test_known_values(void) {
  static const uint32_t kInput[] = {0xFFFFFFF5u, 0xFFFFFFF9u};
  static const int8_t kExpected[] = {0, 0, 1, -1, 0};
  int8_t* const output = run(1, 5, kInput);
  CHECK(memcmp(output + 1, kExpected, sizeof kExpected) == 0);
  free(output);
}

/* Packing what was unpacked gives the same words. */
static void test_round_trip(void) {
  const gxnor_pack_params params = {6, 33};
  problem p = make_problem(default_params(33, 1), 1, 3);
  uint32_t* const words = pack_input(&p);
  uint32_t again[6 * 4];
  int8_t* const states = run(6, 33, words);
  CHECK(memcmp(states + 1, p.input, 6 * 33) == 0);
  CHECK_EQ(gxnor_pack_s8_t2(&params, states + 1, again), GXNOR_OK);
  CHECK(memcmp(again, words, sizeof again) == 0);
  free(words);
  free(states);
  free_problem(&p);
}

static void test_errors(void) {
  gxnor_pack_params params = {1, 1};
  const uint32_t input[2] = {1, 0};
  int8_t output[1] = {kGuard};
  CHECK_EQ(gxnor_unpack_t2_s8(NULL, input, output), GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_unpack_t2_s8(&params, NULL, output), GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_unpack_t2_s8(&params, input, NULL), GXNOR_ERR_ARG);
  params.positions = 0;
  CHECK_EQ(gxnor_unpack_t2_s8(&params, input, output), GXNOR_ERR_SHAPE);
  params.positions = 2;
  params.channels = INT32_MAX;
  CHECK_EQ(gxnor_unpack_t2_s8(&params, input, output), GXNOR_ERR_SHAPE);
  CHECK_EQ(output[0], kGuard);
}

int main(void) {
  test_random_words();
  test_known_values();
  test_round_trip();
  test_errors();
  return check_result();
}
