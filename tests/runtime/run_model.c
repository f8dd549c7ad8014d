/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a generated model on inputs from stdin until there are no more, and
 * writes the raw output of each, and the scores, to stdout.
 *
 * All memory of the model has guard words around it, and holds garbage before
 * each invocation. Needs RESULT, the type of the output's elements, and
 * HAS_SCORES, 0 or 1, as macros. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

/* A sanitizer watches the ends of memory itself, and reads beyond it, too. */
#if defined(__SANITIZE_ADDRESS__)
static const size_t kGuardBytes = 0;
#else
static const size_t kGuardBytes = 64;
#endif

#define REQUIRE(condition)                                           \
  do {                                                               \
    if (!(condition)) {                                              \
      fprintf(stderr, "line %d: %s is not\n", __LINE__, #condition); \
      exit(1);                                                       \
    }                                                                \
  } while (0)

/* Memory exactly as large as it must be, between guards. */
typedef struct guarded {
  unsigned char* all;
  size_t size;
} guarded;

static guarded new_guarded(size_t size) {
  guarded made;
  made.size = size;
  made.all = malloc(size + 2 * kGuardBytes);
  REQUIRE(made.all != NULL);
  memset(made.all, 0xA5, size + 2 * kGuardBytes);
  return made;
}

static void* data(const guarded* g) { return g->all + kGuardBytes; }

static void check_guards(const guarded* g) {
  for (size_t i = 0; i < kGuardBytes; ++i) {
    REQUIRE(g->all[i] == 0xA5);
    REQUIRE(g->all[kGuardBytes + g->size + i] == 0xA5);
  }
}

static void check_errors(const guarded* in, const guarded* result,
                         const guarded* arena) {
  unsigned char* const bytes = data(arena);
  REQUIRE(MODEL_ARENA_BYTES == arena->size);
  REQUIRE(model_arena_bytes == MODEL_ARENA_BYTES);
  REQUIRE(model_init(NULL, MODEL_ARENA_BYTES) == -1);
  REQUIRE(model_init(bytes + 1, MODEL_ARENA_BYTES) == -1);
  REQUIRE(model_init(bytes + 2, MODEL_ARENA_BYTES) == -1);
  REQUIRE(model_init(bytes, MODEL_ARENA_BYTES - 1) == -2);
  REQUIRE(model_init(bytes, 0) == -2);
  REQUIRE(model_init(bytes, MODEL_ARENA_BYTES) == 0);
  REQUIRE(model_init(bytes, MODEL_ARENA_BYTES + 1) == 0);
  REQUIRE(model_invoke(NULL, data(result), bytes) == -1);
  REQUIRE(model_invoke(data(in), NULL, bytes) == -1);
  REQUIRE(model_invoke(data(in), data(result), NULL) == -1);
  REQUIRE(model_invoke(data(in), data(result), bytes + 2) == -1);
}

int main(void) {
  const guarded in = new_guarded(MODEL_INPUTS);
  const guarded result = new_guarded(MODEL_OUTPUTS * sizeof(RESULT));
  const guarded scores = new_guarded(MODEL_OUTPUTS * sizeof(float));
  const guarded arena = new_guarded(MODEL_ARENA_BYTES);
  unsigned char* const before = malloc(MODEL_INPUTS);
  REQUIRE(before != NULL);
  check_errors(&in, &result, &arena);
  while (fread(data(&in), 1, in.size, stdin) == in.size) {
    memcpy(before, data(&in), in.size);
    memset(data(&arena), 0x5A, arena.size);
    memset(data(&result), 0x5A, result.size);
    REQUIRE(model_invoke(data(&in), data(&result), data(&arena)) == 0);
    REQUIRE(memcmp(before, data(&in), in.size) == 0);
    fwrite(data(&result), 1, result.size, stdout);
#if HAS_SCORES
    model_scores(data(&result), data(&scores));
    fwrite(data(&scores), 1, scores.size, stdout);
#endif
    check_guards(&in);
    check_guards(&result);
    check_guards(&scores);
    check_guards(&arena);
  }
  free(in.all);
  free(result.all);
  free(scores.all);
  free(arena.all);
  free(before);
  return 0;
}
