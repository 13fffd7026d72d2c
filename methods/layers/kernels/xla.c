#include "xla.h"

#include <stdlib.h>
#include <unistd.h>

#include "layer.h"
#include "xla/ffi/api/c_api.h"

enum { ARRAYS = 16, LATE = 1, MOMENT = 1000 }; /* arrays of one call, at most; an error; microseconds */

static struct {
    typeof(layer_solve) *solve;
    typeof(layer_pull) *pull;
    typeof(layer_push) *push;
    open_solution open_solution;
    open_lift open_lift;
    long running; /* calls of the last two, on threads of XLA; */
    int is_over;  /* there are to be no more */
} core;

static int enter(char *said) {
    static const char over[] = "the interpreter ends";
    __atomic_add_fetch(&core.running, 1, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&core.is_over, __ATOMIC_SEQ_CST))
        return 1;
    for (unsigned i = 0; i < sizeof over; i++)
        said[i] = over[i];
    return 0;
}

static void leave(void) { __atomic_sub_fetch(&core.running, 1, __ATOMIC_SEQ_CST); }

static long solve_open(long k, long n, long open, const int64_t *which, const double *w, const double *y, double beta,
                       double *x, double *duals, char *said) {
    long failed = enter(said) ? core.open_solution(k, n, open, which, w, y, beta, x, duals, said) : LATE;
    leave();
    return failed;
}

static long lift_open(long k, long n, long open, const int64_t *which, const double *w, const double *y, double beta,
                      const double *duals, const double *g, const double *t, long fixed, double *x, double *h, double *v,
                      char *said) {
    long failed = enter(said) ? core.open_lift(k, n, open, which, w, y, beta, duals, g, t, fixed, x, h, v, said) : LATE;
    leave();
    return failed;
}

void xla_end(void) {
    __atomic_store_n(&core.is_over, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&core.running, __ATOMIC_SEQ_CST))
        usleep(MOMENT);
}

/* A call: what it is on, and float64 arrays beside float32 ones. */
typedef struct {
    XLA_FFI_CallFrame *frame;
    double *converted[ARRAYS];
    XLA_FFI_Buffer *original[ARRAYS];
    long count;
    int is_short; /* of memory */
    layer at;
} call;

void xla_connect(void *solve, void *pull, void *push, void *open_solution_, void *open_lift_) {
    core.solve = (typeof(layer_solve) *)solve;
    core.pull = (typeof(layer_pull) *)pull;
    core.push = (typeof(layer_push) *)push;
    core.open_solution = (open_solution)open_solution_;
    core.open_lift = (open_lift)open_lift_;
}

static long length(const XLA_FFI_Buffer *b) {
    long product = 1;
    for (long i = 0; i < b->rank; i++)
        product *= b->dims[i];
    return product;
}

/* The float64 values of a buffer, its own or room for them */
static double *values(call *c, XLA_FFI_Buffer *b) {
    if (b->dtype != XLA_FFI_DataType_F32)
        return b->data;
    double *room = malloc(length(b) * sizeof(double) + 1);
    c->is_short |= !room;
    c->original[c->count] = b;
    c->converted[c->count++] = room;
    return room;
}

static double *argument(call *c, long i) {
    XLA_FFI_Buffer *b = c->frame->args.args[i];
    double *found = values(c, b);
    if (b->dtype == XLA_FFI_DataType_F32 && found)
        for (long j = 0; j < length(b); j++)
            found[j] = ((const float *)b->data)[j];
    return found;
}

static double *result(call *c, long i) { return values(c, c->frame->rets.rets[i]); }

static int64_t given(const call *c) { return *(const int64_t *)((XLA_FFI_Scalar *)c->frame->attrs.attrs[0])->value; }

/* Whether XLA asks for a call, and not which version this is made for */
static int is_call(XLA_FFI_CallFrame *frame) {
    XLA_FFI_Extension_Base *extension = frame->extension_start;
    if (!extension || extension->type != XLA_FFI_Extension_Metadata)
        return frame->stage == XLA_FFI_ExecutionStage_EXECUTE;
    XLA_FFI_Metadata *metadata = ((XLA_FFI_Metadata_Extension *)extension)->metadata;
    metadata->api_version.major_version = XLA_FFI_API_MAJOR;
    metadata->api_version.minor_version = XLA_FFI_API_MINOR;
    metadata->traits = 0;
    return 0;
}

/* The operators and signals: W, y and beta are the first arguments of each; y has an axis of groups or is one group. */
static call begun(XLA_FFI_CallFrame *frame) {
    call c = {.frame = frame};
    XLA_FFI_Buffer *w = frame->args.args[0], *y = frame->args.args[1];
    const double *w_at = argument(&c, 0), *y_at = argument(&c, 1), *beta_at = argument(&c, 2);
    long groups = y->rank == 4 ? y->dims[1] : 1;
    c.at = (layer){w->dims[0], groups, y->dims[y->rank - 2], w->dims[1], w->dims[2], w_at, y_at, beta_at};
    return c;
}

/* Round what is float32 in the results from `first` converted array on, and give the room back. */
static XLA_FFI_Error *ended(call *c, long first, long failed, const char *said) {
    for (long i = 0; i < c->count; i++) {
        float *to = c->original[i]->data;
        for (long j = 0; i >= first && !failed && j < length(c->original[i]); j++)
            to[j] = (float)c->converted[i][j];
        free(c->converted[i]);
    }
    if (!failed)
        return 0;
    XLA_FFI_Error_Create_Args error = {
        .struct_size = XLA_FFI_Error_Create_Args_STRUCT_SIZE,
        .message = c->is_short ? "there is no memory for the arrays in float64" : said,
        .errc = c->is_short ? XLA_FFI_Error_Code_RESOURCE_EXHAUSTED : XLA_FFI_Error_Code_INVALID_ARGUMENT,
    };
    return c->frame->api->XLA_FFI_Error_Create(&error);
}

void *xla_solve(void *frame) {
    if (!is_call(frame))
        return 0;
    call c = begun(frame);
    char said[SAID] = "";
    long first = c.count;
    double *x = result(&c, 0), *duals = result(&c, 1);
    return ended(&c, first, c.is_short || core.solve(&c.at, solve_open, 0, x, duals, said), said);
}

void *xla_pull(void *frame) {
    if (!is_call(frame))
        return 0;
    call c = begun(frame);
    char said[SAID] = "";
    const double *duals = argument(&c, 3), *g = argument(&c, 4);
    double *slopes[3];
    long first = c.count, next = 0;
    for (int i = 0; i < 3; i++)
        slopes[i] = given(&c) >> i & 1 ? result(&c, next++) : 0;
    long failed = c.is_short || core.pull(&c.at, lift_open, 0, duals, g, slopes[0], slopes[1], slopes[2], said);
    return ended(&c, first, failed, said);
}

void *xla_push(void *frame) {
    if (!is_call(frame))
        return 0;
    call c = begun(frame);
    char said[SAID] = "";
    const double *duals = argument(&c, 3), *along[3];
    long next = 4;
    for (int i = 0; i < 3; i++)
        along[i] = given(&c) >> i & 1 ? argument(&c, next++) : 0;
    long first = c.count;
    double *dx = result(&c, 0);
    long failed = c.is_short || core.push(&c.at, lift_open, duals, along[0], along[1], along[2], dx, said);
    return ended(&c, first, failed, said);
}
