/* The functions of methods/blorc/kernels/layer.h as custom calls of XLA. Arrays are float32 or float64, all of them the same;
   float32 is computed in float64 and rounded once. The duals are words of 32 bits, as JAX has no float64 where 64-bit types are
   off. Arguments and results stand in the order of layer.h, without `work`. The attribute `given` says which of three slopes
   or directions are there: 1 in W, 2 in y, 4 in beta. */

#ifndef XLA_H
#define XLA_H

/* The functions of layer.h and those of the caller for what they leave open; once, before the first call. */
void xla_connect(void *solve, void *pull, void *push, void *open_solution, void *open_lift);

/* At the end of the process: no function of the caller is called any more. Returns when none is running. */
void xla_end(void);

void *xla_solve(void *frame);

void *xla_pull(void *frame);

void *xla_push(void *frame);

#endif
