/* L L' = W_F W_F' for a list F of rows of W, or the rows and columns F of a known matrix, and solves with it, by blocks
   of LANES rows.

   Where the rows of a block do not overlap those of an earlier one L stays zero, so that a banded W costs what its band
   costs. Of a block on the diagonal the inverse is kept: solves are then products. A row that depends on those before it
   has a zero row and column there, and takes no part; rows of zeros, which fill the last block up, do not either. */
#ifndef FACTOR_H
#define FACTOR_H

#include <math.h>

#include "rows.h"

typedef struct {
    const double *w; /* rows of `length` numbers */
    long length;
    const double *known; /* the matrix, in rows of `known_length`; null: the products of rows are formed */
    long known_length;
    const int64_t *list; /* the rows F, in whole blocks, and how many of these there are */
    long blocks;
    const span *reach; /* (blocks) the columns of W that a block of F covers; null: all blocks overlap */
    long rank;         /* how many rows are independent */
    int64_t *start;    /* (blocks) the first block of columns in which L is not zero */
    double *lower;     /* the rows of L, block after block, up to that on the diagonal, which holds its inverse, transposed */
} factor;

static inline rows rows_of(const factor *f, long block) { return listed(f->w, f->length, f->list, block * LANES); }

/* How many numbers so many blocks of rows of L have; those of a block have `row_length`. */
static inline long lower_size(long blocks) { return blocks * (blocks + 1) / 2 * LANES * LANES; }

static inline long row_length(long block) { return (block + 1) * LANES; }

static inline rows lower_rows(const factor *f, long block) {
    return rows_from(f->lower + lower_size(block), row_length(block), 0);
}

/* The inverse of a block on the diagonal, transposed, in rows of `row_length` */
static inline double *transposed(const factor *f, long block) { return f->lower + lower_size(block) + block * LANES; }

/* sum_b t_b a_b for the LANES rows of a square */
static inline lanes combined(const double *square, long length, const double *t) {
    lanes even = {0}, odd = {0};
    for (int b = 0; b < LANES; b += 2) {
        even += t[b] * load(square + b * length);
        odd += t[b + 1] * load(square + (b + 1) * length);
    }
    return even + odd;
}

static inline void find_start(factor *f) {
    for (long block = 0; block < f->blocks; block++) {
        long start = 0;
        while (f->reach && start < block && is_empty(overlap(f->reach[start], f->reach[block])))
            start++;
        f->start[block] = start;
    }
}

/* The products of row a of F with those of a block of F, as they are known; with a row of zeros that fills up, any
   number: it has no pivot and takes no part. */
static inline lanes known_products(const factor *f, long a, long block) {
    double t[LANES];
    const double *row = f->known + f->list[a] * f->known_length;
    for (int b = 0; b < LANES; b++)
        t[b] = row[f->list[block * LANES + b]];
    return load(t);
}

/* Rows a and a + 1 of L, those at `pair`, in the columns of a block before their own */
static inline void eliminate(factor *f, long a, double *const *pair, long block, const rows *w, const rows *lower, long start) {
    long column = block * LANES;
    const double *of_w[2] = {f->w + f->list[a] * f->length, f->w + f->list[a + 1] * f->length};
    lanes sum[2 * LANES] = {{0}}, known[2] = {{0}};
    double t[2 * LANES];
    if (f->known)
        for (int v = 0; v < 2; v++)
            known[v] = known_products(f, a + v, block);
    else
        accumulate(sum, w, 2, of_w, 1.0, overlap(f->reach[block], f->reach[a / LANES]));
    accumulate(sum, lower, 2, (const double *const *)pair, -1.0, (span){most(start, f->start[block]) * LANES, column});
    store(t, known[0] + totals(sum));
    store(t + LANES, known[1] + totals(sum + LANES));
    for (int v = 0; v < 2; v++)
        store(pair[v] + column, combined(transposed(f, block), row_length(block), t + v * LANES));
}

/* product_b <- the products of the rows of a block with its row b, less those of their rows of L */
static inline void own_products(const rows *w, span covered, const rows *lower, span before, lanes *product) {
    for (int b = 0; b < LANES; b += 2) {
        lanes sum[2 * LANES] = {{0}};
        accumulate(sum, w, 2, w->at + b, 1.0, covered);
        accumulate(sum, lower, 2, lower->at + b, -1.0, before);
        product[b] = totals(sum);
        product[b + 1] = totals(sum + LANES);
    }
}

/* M', in rows of `length`, for M = C^{-1}, C C' = the products of a block; how many of its rows are independent of those
   before, by pivots above `share` of their square. */
static inline long invert_block(lanes *product, const double *squares, double share, double *transposed, long length) {
    lanes unit[LANES] = {{0}};
    double scale[LANES], row[LANES];
    long rank = 0;
    for (int b = 0; b < LANES; b++)
        unit[b][b] = 1.0;
    for (int p = 0; p < LANES; p++) {
        double pivot = product[p][p];
        int independent = pivot > share * squares[p];
        lanes column = product[p] * (independent ? 1.0 / pivot : 0.0);
        scale[p] = independent ? pivot : INFINITY;
        rank += independent;
        for (int q = p + 1; q < LANES; q++) {
            product[q] -= column[q] * product[p];
            unit[q] -= column[q] * unit[p];
        }
    }
    for (int p = 0; p < LANES; p++) {
        store(row, unit[p] * (1.0 / sqrt(scale[p])));
        for (int q = 0; q < LANES; q++)
            transposed[q * length + p] = row[q];
    }
    return rank;
}

/* squares: the diagonal of the whole matrix, by which a pivot is judged; shift: by this share of it the diagonal is raised */
static inline void factorise(factor *f, const double *squares, double share, double shift) {
    f->rank = 0;
    find_start(f);
    for (long block = 0; block < f->blocks; block++) {
        long first = block * LANES, start = f->start[block], length = row_length(block);
        double *own_rows = f->lower + lower_size(block), own[LANES];
        for (long c = start; c < block; c++) {
            rows w = rows_of(f, c), lower = lower_rows(f, c);
            for (int b = 0; b < LANES; b += 2) {
                double *pair[2] = {own_rows + b * length, own_rows + (b + 1) * length};
                eliminate(f, first + b, pair, c, &w, &lower, start);
            }
        }
        rows w = rows_of(f, block), lower = lower_rows(f, block);
        lanes product[LANES];
        own_products(&w, f->known ? (span){0, 0} : f->reach[block], &lower, (span){start * LANES, first}, product);
        for (int b = 0; b < LANES; b++) {
            own[b] = squares[f->list[first + b]];
            if (f->known)
                product[b] += known_products(f, first + b, block);
            product[b][b] += shift * own[b];
        }
        f->rank += invert_block(product, own, share, transposed(f, block), length);
    }
}

/* r <- (L L')^{-1} r, in whole blocks */
static inline void solve(const factor *f, double *r) {
    double t[LANES];
    for (long block = 0; block < f->blocks; block++) {
        long first = block * LANES;
        rows lower = lower_rows(f, block);
        store(t, load(r + first) - dots(&lower, r, (span){f->start[block] * LANES, first}));
        store(r + first, combined(transposed(f, block), row_length(block), t));
    }
    for (long block = f->blocks - 1; block >= 0; block--) {
        long first = block * LANES;
        rows lower = lower_rows(f, block), square = rows_from(transposed(f, block), row_length(block), 0);
        store(r + first, dots(&square, r + first, (span){0, LANES}));
        subtract(&lower, r + first, r, (span){f->start[block] * LANES, first});
    }
}

#endif
