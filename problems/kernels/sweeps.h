/* Coordinate descent on the box dual, min 1/2 |y - W^T z|^2 over |z_i| <= beta: one pass over all rows, x = y - W^T z kept.

   Every array is C-contiguous. Nothing is allocated or kept. */

#include <stdint.h>

/* How many doubles `work` of sweep_filters has. */
int64_t sweep_filters_work(int64_t filters, int64_t size);

/* A convolutional filter bank, patch by patch: z_pf <- clip(z_pf + relaxation <taps_f, patch_p> / |taps_f|^2).
   taps     (filters, size)  read
   patches  (n, size)        read     the entries of x under the taps at p; no entry twice in a patch
   x        (n)              updated
   z        (n, filters)     updated
   work                      scratch  sweep_filters_work doubles
   Returns how many z came to a bound or left one. */
int64_t sweep_filters(int64_t n, int64_t filters, int64_t size, const double *taps, const int64_t *patches, double beta,
                      double relaxation, double *x, double *z, double *work);

/* Sparse rows: z_i <- clip(z_i + relaxation w_i x / |w_i|^2), but for bound rows that press on their bound.
   start    (k + 1)  read     entries start[i] .. start[i + 1] - 1 are those of row i
   columns  (nnz)    read     the place in x of each
   values   (nnz)    read
   lengths  (k)      read     |w_i| > 0
   x        (n)      updated
   z        (k)      updated
   state    (k)      updated  -1 or 1 at a bound, 0 within
   Returns the number of rows whose state changed. */
int64_t sweep_rows(int64_t k, const int64_t *start, const int32_t *columns, const double *values, const double *lengths,
                   double beta, double relaxation, double *x, double *z, int8_t *state);
