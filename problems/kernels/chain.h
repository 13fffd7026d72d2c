/* Chains, min 1/2 |x - y|^2 + sum_i b_i |a_i x_i + c_i x_{i+1}|, in O(n); n >= 2 nodes, n - 1 rows, no a_i or c_i zero.

   Every array is C-contiguous; a batch of signals is one signal after the other. Nothing is allocated or kept.
   Compiled without contraction of products and sums: see `add` and `product` in chain.c. */

#include <stdint.h>

enum { CHAIN_FAILED = 0, CHAIN_VERIFIED = 1, CHAIN_TOUCHING = 2 };
enum { CHAIN_PATTERN_WORK = 9, CHAIN_WORK = 11 }; /* doubles a node */

/* The sign pattern of W x*. It proves nothing.
   a, c, b  (n - 1)  read     the rows and their weights
   y        (n)      read
   state    (n - 1)  written  the sign of a_i x*_i + c_i x*_{i+1}
   work     (9 n)    scratch
   Returns 0, with state not written, where s (see chain.c) leaves the range in which its squares keep their digits; else 1. */
int chain_pattern(int64_t n, const double *a, const double *c, const double *b, const double *y, int8_t *state, double *work);

/* x* and its dual for every signal of a batch, all b_i = beta, to a few units in the last place whatever n.
   a, c   (n - 1)         read
   y      (batch, n)      read
   x      (batch, n)      written
   z      (batch, n - 1)  written  y = x + W^T z, |z_i| <= beta
   state  (batch, n - 1)  written  the sign of z on bound rows, 0 on free ones
   work   (11 n)          scratch
   Returns CHAIN_VERIFIED where the optimality conditions hold for every signal, clear of rounding, CHAIN_TOUCHING where for
   one of them the pattern may change within rounding, CHAIN_FAILED at the first signal that has no verified pattern: those
   behind it are then not written. */
int chain_minimise(int64_t batch, int64_t n, const double *a, const double *c, double beta, const double *y, double *x,
                   double *z, int8_t *state, double *work);

/* The adjoint of that solution.
   a, c   (n - 1)         read
   g      (batch, n)      read
   state  (batch, n - 1)  read     as chain_minimise wrote it
   h      (batch, n - 1)  written  W_F^{+T} g on the free rows F, zero on bound ones
   v      (batch, n)      written  g - W^T h, the part of g along ker W_F */
void chain_adjoint(int64_t batch, int64_t n, const double *a, const double *c, const double *g, const int8_t *state, double *h,
                   double *v);
