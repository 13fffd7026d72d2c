/* Graphs of n nodes and k edges: what exceeds the mean of a region flows to where it lacks, or cuts it.

   Edge e carries flow_e from tail_e to head_e, between limits. around[first[i]] .. around[first[i+1] - 1] are those at node i.
   tail, head (k), first (n + 1) and around (2 k) are read by all functions but the first, which writes the last two.
   Every array is C-contiguous. Nothing is allocated or kept. */

#include <stdint.h>

/* The edges at every node, in rising order.
   tail, head  (k)      read
   first       (n + 1)  written
   around      (2 k)    written */
void graph_adjacency(int64_t n, int64_t k, const int32_t *tail, const int32_t *head, int32_t *first, int32_t *around);

/* Projected over-relaxation of min 1/2 |x|^2 over |flow_e| <= bound_e, edge by edge.
   bound  (k)  read
   x      (n)  updated  stays y plus what flowed in
   flow   (k)  updated */
void graph_relax(int64_t k, const int32_t *tail, const int32_t *head, const double *bound, double *x, double *flow,
                 int64_t sweeps, double relaxation);

/* The flat regions, by cuts in integers. A region is levelled to its mean (the remainder of the division goes to some of its
   nodes, one each); where that cannot be, nodes that could not get rid of their excess are cut off by edges at their limits.
   limits  (k)    read     at least |flow_e|; sums of levels and limits at a node must stay below 2^63
   inside  (k)    updated  1 for edges that join nodes of one region; edges that are cut become 0
   flow    (k)    updated
   levels  (n)    updated  in: y; out: y plus what flows in
   label   (n)    written  the region of every node; names are below n and need not follow one another
   excess  (n)    scratch
   work    (5 n)  scratch
   marks   (2 n)  scratch
   Returns the number of rounds. */
int64_t graph_divide(int64_t n, int64_t k, const int32_t *first, const int32_t *around, const int32_t *tail,
                     const int32_t *head, const int64_t *limits, int8_t *inside, int64_t *flow, int64_t *levels,
                     int32_t *label, int64_t *excess, int32_t *work, int8_t *marks);

/* The mean of the values of every region, by sums with compensation.
   values  (n)      read
   label   (n)      read     from 0 to count - 1
   means   (count)  written
   lost    (count)  scratch
   sizes   (count)  scratch */
void graph_averages(int64_t n, int64_t count, const double *values, const int64_t *label, double *means, double *lost,
                    int64_t *sizes);

/* How many nodes can be reached from one root a region along edges within it that have room.
   room   (k, 2)       read  1 where edge e can carry more from tail to head ([e, 0]), or back ([e, 1])
   label  (n)          read  from 0 to count - 1
   against                   0: along what an edge can carry; 1: against it
   queue  (n)          scratch
   marks  (n + count)  scratch */
int64_t graph_reached(int64_t n, int64_t count, const int32_t *first, const int32_t *around, const int32_t *tail,
                      const int32_t *head, const int8_t *room, const int64_t *label, int against, int32_t *queue,
                      int8_t *marks);
