/* What is known of W alone: its rows in whole lanes, what they cover, their sizes and products. */
#ifndef MATRIX_H
#define MATRIX_H

#include "solution.h"

static const double PIVOT = 1e-12;    /* of the factor, by share of the diagonal: below it a row counts as dependent */
static const double COSINE = 1e-12;   /* of two rows: below it they are orthogonal */
static const double RELAXATION = 1.5; /* of coordinate descent */

static rows block_rows(const signal *s, long block) { return rows_from(s->w, s->length, block * LANES); }

/* Whether `count` rows of n numbers, the first at `w`, are zero in LANES columns; inlined for a whole block, where the
   loop is known */
static inline int is_zero(const double *w, long count, long n, long first) {
    masks any = {0};
    int64_t found = 0;
    if (first + LANES <= n)
        for (long b = 0; b < count; b++)
            any |= (masks)load(w + b * n + first);
    else
        for (long j = first; j < n; j++)
            for (long b = 0; b < count; b++)
                found |= w[b * n + j] != 0.0;
    any <<= 1; /* the sign does not count */
    for (int l = 0; l < LANES; l++)
        found |= any[l];
    return !found;
}

static int is_zero_block(const double *w, long count, long n, long first) {
    return count == LANES ? is_zero(w, LANES, n, first) : is_zero(w, count, n, first);
}

static span covered_by(const double *w, long count, long n) {
    span found = {0, count ? padded(n) : 0};
    while (!is_empty(found) && is_zero_block(w, count, n, found.first))
        found.first += LANES;
    while (!is_empty(found) && is_zero_block(w, count, n, found.end - LANES))
        found.end -= LANES;
    return is_empty(found) ? (span){padded(n), 0} : found;
}

/* A block of W in whole lanes, on the columns that it covers */
static void take_rows(signal *s, const double *w, long block) {
    long first = block * LANES, count = most(least(LANES, s->k - first), 0);
    span covered = covered_by(w + first * s->n, count, s->n);
    long width = most(least(covered.end, s->n) - covered.first, 0);
    s->covered[block] = covered;
    for (long b = 0; b < LANES; b++) {
        double *row = s->w + (first + b) * s->length;
        s->written[first + b] = covered;
        if (b < count)
            fill(row + covered.first, w + (first + b) * s->n + covered.first, width);
        else if (!is_empty(covered))
            memset(row + covered.first, 0, (covered.end - covered.first) * sizeof(double));
    }
}

/* The zeros of a row of W on those columns, where they are not written yet */
static void write_zeros(signal *s, long i, span columns) {
    span written = s->written[i];
    if (is_empty(written))
        written = (span){columns.first, columns.first};
    s->written[i] = hull(written, columns);
    for (long j = columns.first; j < written.first; j += LANES)
        store(s->w + i * s->length + j, (lanes){0});
    for (long j = written.end; j < columns.end; j += LANES)
        store(s->w + i * s->length + j, (lanes){0});
}

/* Take W, what its rows cover, their sizes and their products by block; whether all sizes are numbers that float64 holds. */
static int measure(signal *s, const double *w) {
    int sound = 1;
    for (long block = 0; block <= s->blocks; block++) {
        lanes products[LANES];
        take_rows(s, w, block);
        rows own = block_rows(s, block);
        own_products(&own, s->covered[block], &own, (span){0, 0}, products);
        for (int b = 0; b < LANES; b++) {
            long i = block * LANES + b;
            double square = products[b][b];
            s->square[i] = square;
            s->size[i] = sqrt(square);
            s->inverse[i] = i < s->k ? 1.0 / square : 0.0;
            sound = sound && (i >= s->k || (0.0 < square && square < INFINITY));
        }
        for (int b = 0; b < LANES; b++)
            store(s->pull + (block * LANES + b) * LANES, RELAXATION * products[b] * load(s->inverse + block * LANES));
    }
    return sound;
}

/* gram <- W W', where blocks of rows overlap; zero elsewhere, and on the row of zeros */
static void multiply_rows(signal *s) {
    long length = s->blocks * LANES;
    memset(s->gram, 0, (length + LANES) * length * sizeof(double));
    for (long block = 0; block < s->blocks; block++) {
        rows w = block_rows(s, block);
        s->near[block] = (span){length, 0};
        for (long c = 0; c < s->blocks; c++) {
            span both = overlap(s->covered[block], s->covered[c]);
            if (is_empty(both))
                continue;
            s->near[block] = hull(s->near[block], (span){c * LANES, (c + 1) * LANES});
            for (long i = c * LANES; i < (c + 1) * LANES; i++)
                store(s->gram + i * length + block * LANES, dots(&w, s->w + i * s->length, both));
        }
    }
}

/* Whether all rows are orthogonal: those of the first block, and then W (W'c) for numbers c that no accident makes fit. */
static int rows_orthogonal(signal *s) {
    for (int a = 0; a < LANES; a++)
        for (int b = 0; b < a; b++)
            if (fabs(s->pull[a * LANES + b]) * s->size[b] > COSINE * s->size[a])
                return 0;
    double part = 0.0, *share = s->step;
    memset(s->moved, 0, s->length * sizeof(double));
    for (long i = 0; i < s->blocks * LANES; i++) {
        part += part < 1.0 ? 0.6180339887498949 : -0.3819660112501051;
        share[i] = part * s->size[i] * s->inverse[i];
    }
    for (long block = 0; block < s->blocks; block++) {
        rows w = block_rows(s, block);
        subtract(&w, share + block * LANES, s->moved, s->covered[block]);
    }
    for (long block = 0; block < s->blocks; block++) {
        rows w = block_rows(s, block);
        store(s->slope, dots(&w, s->moved, s->covered[block]));
        for (int b = 0; b < LANES; b++) {
            long i = block * LANES + b;
            if (fabs(s->slope[b] + share[i] * s->square[i]) > COSINE * s->size[i])
                return 0;
        }
    }
    return 1;
}

/* K = G^{-1}, row after row, and its diagonal; whether G is definite. The list of bound rows and the factor are room for it. */
static int invert_gram(signal *s) {
    long length = s->blocks * LANES;
    factor all = s->f;
    all.known = s->gram;
    all.list = s->bound;
    all.blocks = s->blocks;
    all.reach = 0;
    for (long i = 0; i < length; i++)
        s->bound[i] = i < s->k ? i : length;
    factorise(&all, s->square, PIVOT, 0.0);
    memset(s->gram_inverse, 0, (length + LANES) * length * sizeof(double));
    for (long i = 0; i < s->k; i++) {
        s->gram_inverse[i * length + i] = 1.0;
        solve(&all, s->gram_inverse + i * length);
        s->diagonal[i] = s->gram_inverse[i * length + i];
    }
    s->diagonal[length] = 0.0;
    return all.rank == s->k;
}

/* The views of a first signal, with what is known of W alone */
static signal prepared(long k, long n, long count, int several, const double *w, double beta, double *shared, double *work) {
    signal s = views(k, n, count, several, beta, shared, work);
    *s.sound = measure(&s, w);
    *s.orthogonal = *s.sound && rows_orthogonal(&s);
    *s.inverted = several && k <= n ? -1 : 0;
    if (several && *s.sound && !*s.orthogonal)
        multiply_rows(&s);
    return s;
}

#endif
