/* x* = y - W'z with z = argmin over |z_i| <= beta of 1/2 |y - W'z|^2, exactly, and the adjoint of W -> x*: for one signal
   y, or for several that share W.

   W is (k, n), row after row; k and n are at least 1. All arrays are float64 (status and solved: int64) and without gaps.
   The caller brings the work arrays, and they hold all there is to a solution, W included: shared, `shared_size(k, n,
   several)` numbers, W and what is needed on the way; work, `signal_size(k, n)` numbers a signal. In the first
   `signal_stride(k, n)` of these, signal after signal, x* is in the first n, z in the k from `dual_place(n)` on, and just before z stands how
   many Newton steps and sweeps were taken; factors follow. Where there is one signal, `work` has room for both. */

#ifndef SIGNAL_H
#define SIGNAL_H

#include <stdint.h>

enum { SEVERAL = 8 }; /* signals from which on using W W' pays */

enum { FAILED, FACTORED, ORTHOGONAL, ZERO };
/* What a solution ends as. FAILED: not verified, or so close to a kink that float64 cannot tell; x and z are where it
   came to. FACTORED: the factor of W_0 W_0' is in `work`, W_0 being the rows with w_i x* = 0. ORTHOGONAL: that matrix is
   diagonal. ZERO: x* = 0 for every W close by; z lies strictly inside the box. No solution ends as ZERO by itself: its
   caller finds out. */

long shared_size(long k, long n, long several);

long signal_size(long k, long n);

long room_size(long k, long n);

long signal_stride(long k, long n);

long dual_place(long n);

/* w (k, n), y (n), near (k, or a null pointer: none): the duals of a W close by, to start from. Returns the status. */
long solve_signal(long k, long n, const double *w, const double *y, double beta, const double *near, double *work);

/* Of the solution in `work`, for g (n) = dL/dx: h (k) <- W_0^{+T} g, 0 off the zero rows; v (n) <- g - W_0' h. Returns whether
   W_0 v vanishes to rounding. */
long lift_signal(long k, long n, const double *g, long status, double *work, double *h, double *v);

/* out (k, n) <- -(z v' + h x*'), the gradient in W. Returns as `lift_signal`. */
long signal_gradient(long k, long n, const double *g, long status, double *work, double *out);

/* The same for L = scale / 2 |x* - target|^2, target (n). Returns L, or NaN where the adjoint is not solved. */
double signal_squared(long k, long n, const double *target, double scale, long status, double *work, double *out);

/* The first and the second for `count` signals that share W: y, g, v (count, n), near, h, t (count, k), status and solved
   (count). several: whether W W' is to be used, which decides on the last bits. t, where
   it is no null pointer: v = g - W_0' h has W_0 v = t on the zero rows, in place of 0. room, `room_size(k, n)` numbers: with it
   `lift_signals` writes neither to `shared` nor to `work`, and may run on several threads at once; else null. */
void solve_signals(long k, long n, long count, long several, const double *w, const double *y, double beta, const double *near,
                   double *shared, double *work, int64_t *status);

void lift_signals(long k, long n, long count, long several, const double *g, const double *t, const int64_t *status,
                  double *shared, double *work, double *room, double *h, double *v, int64_t *solved);

/* The work arrays as `solve_signals` left them, from z (count, k) and the statuses alone: one factorisation a signal. A status
   becomes FAILED where the zero rows are dependent; x* is there all the same. */
void restore_signals(long k, long n, long count, long several, const double *w, const double *y, double beta, const double *z,
                     double *shared, double *work, int64_t *status);

#endif
