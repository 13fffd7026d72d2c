/* The work array of one signal, as `signal.c` fills it and `adjoint.c` reads it. */
#ifndef SOLUTION_H
#define SOLUTION_H

#include <string.h>

#include "factor.h"

static const double ACCEPTED = 1e-11; /* residual of a free row, above which a solution is not accepted */
static const double ROUNDING = 2e-15; /* the same, above which it is refined */

/* Views of two work arrays. What has k or n numbers is filled up with zeros to whole lanes, and W with a row of zeros more. */
typedef struct {
    long k, n, blocks, length; /* blocks of rows, and numbers in a row, of W in whole lanes */
    double beta;
    /* What signals share: W, */
    double *w;                   /* (k + 1, n) */
    double *size;                /* (k) |w_i| */
    double *square;              /* (k) |w_i|^2 */
    double *inverse;             /* (k) 1 / |w_i|^2 */
    double *pull;                /* (k, LANES) RELAXATION w_i w_j / |w_j|^2 of each row i with those of its block */
    double *gram;                /* (k, k) G = W W', where several signals use it, else null */
    double *gram_inverse;        /* (k, k) K = G^{-1} and */
    double *diagonal;            /* (k) its diagonal, where it is known */
    span *near;                  /* (blocks) the columns of G in which the rows of a block are not zero */
    span *covered;               /* (blocks + 1) the columns that the rows of a block cover */
    span *written;               /* (k) the columns in which a row of `w` is written: it is zero in others */
    int64_t *sound, *orthogonal; /* (1) whether all |w_i| are numbers that float64 holds; whether all rows are orthogonal */
    int64_t *inverted;           /* (1) whether K is known: 1, cannot be: 0, or was not asked for: -1 */
    /* and room for the signal at hand. */
    double *y, *moved;           /* (n) */
    double *slope;               /* (k) W x */
    double *step;                /* (k) of the free rows */
    double *scattered, *through; /* (k) */
    double *norm;                /* (1) |y| */
    int64_t *state;              /* (k) the sign of a row at its bound, 0 for a free one */
    /* What stays of a signal. */
    double *x;                   /* (n) */
    double *iterations;          /* (1) */
    double *z;                   /* (k) */
    int64_t *free_rows;          /* (k) F, filled up with the row of zeros, as */
    int64_t *bound;              /* (k) the others, A */
    int64_t *free_count;         /* (1) */
    int64_t *by_bound;           /* (1) whether K_AA is factored in place of G_FF */
    int64_t *place;              /* (1) of the factor among those of the signals */
    span *reach;                 /* (blocks) the columns of W that a block of F covers */
    factor f;
} signal;

static inline double larger(double a, double b) { return a > b ? a : b; }

static inline double smaller(double a, double b) { return a < b ? a : b; }

static inline double *taken(double **work, long count) {
    double *from = *work;
    *work += count;
    return from;
}

static inline double *aligned(double *work) { return (double *)(((uintptr_t)work + WIDTH - 1) / WIDTH * WIDTH); }

/* Room for the signal at hand; what follows it */
static inline double *view_room(signal *s, double *room) {
    long rows = padded(s->k) + LANES;
    s->y = taken(&room, s->length);
    s->moved = taken(&room, s->length);
    s->slope = taken(&room, rows);
    s->step = taken(&room, rows);
    s->scattered = taken(&room, rows);
    s->through = taken(&room, rows);
    return room;
}

static inline void view_shared(signal *s, int several, double *work) {
    long rows = padded(s->k) + LANES;
    work = aligned(work);
    s->w = taken(&work, rows * s->length);
    s->pull = taken(&work, rows * LANES);
    s->size = taken(&work, rows);
    s->square = taken(&work, rows);
    s->inverse = taken(&work, rows);
    s->diagonal = taken(&work, rows);
    work = view_room(s, work);
    s->state = (int64_t *)taken(&work, rows);
    s->written = (span *)taken(&work, 2 * rows);
    s->covered = (span *)taken(&work, 2 * (s->blocks + 1));
    s->sound = (int64_t *)taken(&work, 1);
    s->orthogonal = (int64_t *)taken(&work, 1);
    s->inverted = (int64_t *)taken(&work, 1);
    s->norm = taken(&work, 1);
    s->near = (span *)taken(&work, 2 * s->blocks);
    s->gram = several ? aligned(work) : 0;
    s->gram_inverse = several ? s->gram + rows * padded(s->k) : 0;
}

/* Numbers that `view_signal` takes */
static inline long stride_of(long k, long n) { return padded(n) + 3 * padded(k) + 4 + 3 * blocks_of(k); }

/* What stays of a signal, but for its factor, which has the size that it needs and lies where `lower` says */
static inline void view_signal(signal *s, double *work, double *lower) {
    long rows = padded(s->k);
    s->x = taken(&work, s->length);
    s->iterations = taken(&work, 1);
    s->z = taken(&work, rows);
    s->free_count = (int64_t *)taken(&work, 1);
    s->by_bound = (int64_t *)taken(&work, 1);
    s->place = (int64_t *)taken(&work, 1);
    s->free_rows = (int64_t *)taken(&work, rows);
    s->bound = (int64_t *)taken(&work, rows);
    s->reach = (span *)taken(&work, 2 * s->blocks);
    s->f = (factor){.w = s->w, .length = s->length, .known_length = rows, .start = (int64_t *)taken(&work, s->blocks)};
    s->f.lower = lower;
}

/* Where the factors of `count` signals begin, behind what else stays of them */
static inline double *factors_of(long k, long n, long count, double *work) {
    return aligned(work + count * stride_of(k, n));
}

/* The first of `count` signals. `several`: whether W W' is used, which pays for several */
static inline signal views(long k, long n, long count, int several, double beta, double *shared, double *work) {
    signal s = {.k = k, .n = n, .blocks = blocks_of(k), .length = padded(n), .beta = beta};
    view_shared(&s, several, shared);
    view_signal(&s, work, factors_of(k, n, count, work));
    return s;
}

static inline long free_blocks(const signal *s) { return blocks_of(*s->free_count); }

static inline rows free_block(const signal *s, long block) { return listed(s->w, s->length, s->free_rows, block * LANES); }

/* What is factored, as `by_bound` has it */
static inline void choose_factor(signal *s) {
    s->f.list = *s->by_bound ? s->bound : s->free_rows;
    s->f.known = *s->by_bound ? s->gram_inverse : s->gram;
    s->f.reach = *s->by_bound ? 0 : s->reach;
    s->f.blocks = *s->by_bound ? blocks_of(s->k - *s->free_count) : free_blocks(s);
}

/* r <- G_FF^{-1} r, (free rows) in whole blocks; by K_AA: (K r)_F - K_FA K_AA^{-1} (K r)_A */
static inline void solve_free(signal *s, double *r) {
    if (!*s->by_bound) {
        solve(&s->f, r);
        return;
    }
    long length = s->f.known_length;
    memset(s->scattered, 0, length * sizeof(double));
    for (long a = 0; a < *s->free_count; a++)
        s->scattered[s->free_rows[a]] = r[a];
    for (long block = 0; block < s->blocks; block++) {
        rows inverse = rows_from(s->gram_inverse, length, block * LANES);
        store(s->through + block * LANES, dots(&inverse, s->scattered, (span){0, length}));
    }
    s->through[length] = 0.0;
    for (long a = 0; a < s->f.blocks * LANES; a++)
        s->scattered[a] = s->through[s->bound[a]];
    solve(&s->f, s->scattered);
    for (long block = 0; block < s->f.blocks; block++) {
        rows inverse = listed(s->gram_inverse, length, s->bound, block * LANES);
        subtract(&inverse, s->scattered + block * LANES, s->through, (span){0, length});
    }
    for (long a = 0; a < free_blocks(s) * LANES; a++)
        r[a] = a < *s->free_count ? s->through[s->free_rows[a]] : 0.0;
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
    for (long block = 0; block < free_blocks(s); block++) {
        rows w = free_block(s, block);
        subtract(&w, share + block * LANES, to, s->reach[block]);
    }
}

#endif
