/* The work array of one signal, as `signal.c` fills it and `adjoint.c` reads it. */
#ifndef SOLUTION_H
#define SOLUTION_H

#include <string.h>

#include "factor.h"

static const double ACCEPTED = 1e-11; /* residual of a free row, above which a solution is not accepted */
static const double ROUNDING = 2e-15; /* the same, above which it is refined */

enum { SEVERAL = 4 }; /* signals from which on the products of all rows of W pay */

/* Views of two work arrays. What has k or n numbers is filled up with zeros to whole lanes, and W with a row of zeros more. */
typedef struct {
    long k, n, blocks, length; /* blocks of rows, and numbers in a row, of W in whole lanes */
    double beta;
    /* What signals share: W, */
    double *w;       /* (k + 1, n) */
    double *size;    /* (k) |w_i| */
    double *square;  /* (k) |w_i|^2 */
    double *inverse; /* (k) 1 / |w_i|^2 */
    double *pull;    /* (k, LANES) RELAXATION w_i w_j / |w_j|^2 of each row i with those of its block */
    double *gram;    /* (k, k) W W', where several signals use it, else null */
    span *near;      /* (blocks) the columns of that in which the rows of a block are not zero */
    span *covered;   /* (blocks + 1) the columns that the rows of a block cover */
    span *written;   /* (k) the columns in which a row of `w` is written: it is zero in others */
    int64_t *kind;   /* (2) whether the sizes of all rows are sound, and whether all are orthogonal */
    /* and room for the signal at hand. */
    double *y, *moved; /* (n) */
    double *slope;     /* (k) W x */
    double *step;      /* (k) of the free rows */
    double *norm;      /* (1) |y| */
    int64_t *state;    /* (k) the sign of a row at its bound, 0 for a free one */
    /* What stays of a signal. */
    double *x;          /* (n) */
    double *iterations; /* (1) */
    double *z;          /* (k) */
    int64_t *free_rows; /* (k) filled up with the row of zeros */
    int64_t *kept;      /* (2) how many rows are free, in how many blocks */
    factor f;           /* of the free rows */
} signal;

static inline double larger(double a, double b) { return a > b ? a : b; }

static inline double smaller(double a, double b) { return a < b ? a : b; }

static inline double *taken(double **work, long count) {
    double *from = *work;
    *work += count;
    return from;
}

static inline double *aligned(double *work) { return (double *)(((uintptr_t)work + WIDTH - 1) / WIDTH * WIDTH); }

static inline void view_shared(signal *s, int several, double *work) {
    long rows = padded(s->k) + LANES;
    work = aligned(work);
    s->w = taken(&work, rows * s->length);
    s->pull = taken(&work, rows * LANES);
    s->y = taken(&work, s->length);
    s->moved = taken(&work, s->length);
    s->size = taken(&work, rows);
    s->square = taken(&work, rows);
    s->inverse = taken(&work, rows);
    s->slope = taken(&work, rows);
    s->step = taken(&work, rows);
    s->state = (int64_t *)taken(&work, rows);
    s->written = (span *)taken(&work, 2 * rows);
    s->covered = (span *)taken(&work, 2 * (s->blocks + 1));
    s->kind = (int64_t *)taken(&work, 2);
    s->norm = taken(&work, 1);
    s->near = (span *)taken(&work, 2 * s->blocks);
    s->gram = several ? aligned(work) : 0;
}

static inline void view_signal(signal *s, double *work) {
    long rows = padded(s->k);
    s->x = taken(&work, s->length);
    s->iterations = taken(&work, 1);
    s->z = taken(&work, rows);
    s->kept = (int64_t *)taken(&work, 2);
    s->free_rows = (int64_t *)taken(&work, rows);
    s->f = (factor){.w = s->w, .length = s->length, .covered = s->covered, .list = s->free_rows};
    s->f.gram = s->gram;
    s->f.gram_length = rows;
    s->f.reach = (span *)taken(&work, 2 * s->blocks);
    s->f.start = (int64_t *)taken(&work, s->blocks);
    s->f.inverse = aligned(work);
    s->f.lower = s->f.inverse + rows * LANES;
}

static inline signal views(long k, long n, long count, double beta, double *shared, double *work) {
    signal s = {.k = k, .n = n, .blocks = blocks_of(k), .length = padded(n), .beta = beta};
    view_shared(&s, count >= SEVERAL, shared);
    view_signal(&s, work);
    return s;
}

static inline double length_of(const double *a, long n) {
    lanes total = {0};
    double square = 0.0;
    long j = 0;
    for (; j + LANES <= n; j += LANES)
        total += load(a + j) * load(a + j);
    for (; j < n; j++)
        square += a[j] * a[j];
    for (int b = 0; b < LANES; b++)
        square += total[b];
    return sqrt(square);
}

static inline void fill(double *to, const double *from, long count) {
    long j = 0;
    for (; j + LANES <= count; j += LANES)
        store(to + j, load(from + j));
    for (long whole = padded(count); j < whole; j++)
        to[j] = j < count ? from[j] : 0.0;
}

/* to <- from - W_F' share */
static inline void take_off(const signal *s, const double *from, const double *share, double *to) {
    memcpy(to, from, s->length * sizeof(double));
    for (long block = 0; block < s->f.blocks; block++) {
        rows w = rows_of(&s->f, block);
        subtract(&w, share + block * LANES, to, s->f.reach[block]);
    }
}

#endif
