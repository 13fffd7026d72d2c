/* Signals of several operators, as the layers of the frameworks have them: x*, and its derivative in reverse and in forward
   mode, in W, y and beta. Operators lie on an axis of their own; the signals of one operator lie in groups, and a slope in W
   or beta belongs to a group.

   All arrays are float64 and without gaps. What the kernel leaves open goes through a function of the caller. Each returns 0,
   or what that function returns instead, or 1; what went wrong is then in `said`, a text of less than SAID characters. */

#ifndef LAYER_H
#define LAYER_H

#include <stdint.h>

enum { SAID = 256 };

typedef struct {
    long operators, groups, signals, k, n;
    const double *w;    /* (operators, k, n) */
    const double *y;    /* (operators, groups, signals, n) */
    const double *beta; /* (operators) */
} layer;

/* `open` signals of one operator, which (open) of its y (groups signals, n). x (.., n) and duals (.., k + 1) are to be
   written. */
typedef long (*open_solution)(long k, long n, long open, const int64_t *which, const double *w, const double *y, double beta,
                              double *x, double *duals, char *said);

/* Their h and v as `signal.h` has them, with t or where it is null; and x. fixed: whether W is not differentiated. After the
   last operator that has any it is called once more, with none. */
typedef long (*open_lift)(long k, long n, long open, const int64_t *which, const double *w, const double *y, double beta,
                          const double *duals, const double *g, const double *t, long fixed, double *x, double *h, double *v,
                          char *said);

/* How many numbers `work` has, for `count` signals of one operator. */
long layer_room(long k, long n, long count);

/* x (as y) and duals (as y, but k + 1 in place of n): z and, as the last number, the status. These say all about the
   solution. `work`, where it is no null pointer, keeps the factors for `layer_pull`; there must be one operator then. */
long layer_solve(const layer *l, open_solution open, double *work, double *x, double *duals, char *said);

/* g (as y) = dL/dx* to in_w (operators, groups, k, n), in_y (as y) and in_beta (operators, groups); null pointers where they
   are not asked for. `work` as it was left, of which nothing is written; null, or moved, the factors are computed again. */
long layer_pull(const layer *l, open_lift open, const double *work, const double *duals, const double *g, double *in_w,
                double *in_y, double *in_beta, char *said);

/* dx (as y) for directions of the shapes of in_w, in_y and in_beta; null pointers where they are 0. */
long layer_push(const layer *l, open_lift open, const double *duals, const double *dw, const double *dy, const double *dbeta,
                double *dx, char *said);

#endif
