/* Lanes: as many numbers side by side as one vector register of this processor holds. */
#ifndef LANES_H
#define LANES_H

#include <stdint.h>

#if defined(__AVX512F__)
#define WIDTH 64
#elif defined(__AVX__)
#define WIDTH 32
#else
#define WIDTH 16
#endif

enum { LANES = WIDTH / sizeof(double) };

typedef double lanes __attribute__((vector_size(WIDTH)));
typedef double unaligned_lanes __attribute__((vector_size(WIDTH), aligned(sizeof(double)), may_alias));
typedef int64_t masks __attribute__((vector_size(WIDTH))); /* -1 where a comparison of lanes holds, else 0; bits of lanes */

static inline lanes load(const double *from) { return *(const unaligned_lanes *)from; }

static inline void store(double *to, lanes a) { *(unaligned_lanes *)to = a; }

/* The sum of all lanes, halves on halves. */
static inline double total(lanes a) {
    double part[LANES];
    store(part, a);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            part[l] += part[l + half];
    return part[0];
}

#endif
