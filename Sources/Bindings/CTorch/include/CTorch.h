// C face of libtorch. No C++ type, no exception and no ownership rule crosses this line but these:
//  - a ct_tensor is one owned reference (a heap-allocated at::Tensor); free it with ct_free, once;
//  - every function that returns int and may fail returns 0, or non-zero and leaves a message in ct_error() of the same thread;
//  - on failure no out-parameter is written.
#ifndef CTORCH_H
#define CTORCH_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef struct ct_tensor_ *ct_tensor;

// The numbers of c10::ScalarType.
enum { CT_U8 = 0, CT_I8 = 1, CT_I16 = 2, CT_I32 = 3, CT_I64 = 4, CT_F16 = 5, CT_F32 = 6, CT_F64 = 7, CT_BOOL = 11, CT_BF16 = 15 };

const char *ct_error(void);  // of this thread; valid until its next failing call
const char *ct_version(void);

// Process and thread.
int ct_seed(uint64_t seed);
int ct_set_threads(int threads);                // of libtorch's own loops, and of OpenBLAS where it is found
int ct_threads(void);
const char *ct_kernels(void);                   // which libraries multiply, with which instructions
int ct_grad_mode(int on);                       // of this thread; returns the old value
int ct_autocast_bf16(int on, int device);       // of this thread, for devices of this kind; returns the old value
void ct_keep_freed_memory(void);                // large tensors come from memory that was used before, not from the system

// Devices (Devices.cpp): the CPU, or GPUs from 0 on.
enum { CT_CPU = -1 };
int ct_cuda_devices(void);
int ct_check_device(int device);                // fails with what there is where the device is not; else it is this thread's current one
int ct_synchronize(int device);                 // waits until it has done all that it was given
int ct_peak_memory(int device, int64_t *bytes); // of tensors on a GPU; -1 where the library does not tell
// For tests, of this thread; both return the old value. Tensors of the CPU go through the operations that are meant for GPUs too; another
// c10::DeviceType stands for GPUs, or none (-1).
int ct_prefer_generic(int on);
int ct_take_for_gpus(int type);

// Making, freeing. Random numbers come from the CPU's generator, so that they are the same whatever the device.
int ct_full(const int64_t *shape, size_t rank, int dtype, double value, int device, ct_tensor *out);
int ct_uniform(const int64_t *shape, size_t rank, double low, double high, ct_tensor *out);
int ct_normal(const int64_t *shape, size_t rank, double mean, double deviation, ct_tensor *out);
int ct_permutation(int64_t count, ct_tensor *out);
// A copy, which does not wait for the device.
int ct_copy(const void *data, const int64_t *shape, size_t rank, int dtype, int device, ct_tensor *out);
// Borrows `data`. `release(context)` runs when the last user is done, on any thread.
int ct_borrow(void *data, const int64_t *shape, size_t rank, int dtype, void (*release)(void *), void *context, ct_tensor *out);
int ct_alias(ct_tensor t, ct_tensor *out);      // a second reference to the same tensor
void ct_free(ct_tensor t);

// Looking.
int ct_rank(ct_tensor t);
void ct_shape(ct_tensor t, int64_t *dims);      // room for ct_rank numbers
int ct_dtype(ct_tensor t);
int ct_device(ct_tensor t);
int ct_data(ct_tensor t, void **data, size_t *bytes);  // of contiguous tensors of the CPU
int ct_item(ct_tensor t, double *out);

// Operations, named as in PyTorch.
int ct_to(ct_tensor t, int dtype, ct_tensor *out);
int ct_to_device(ct_tensor t, int device, ct_tensor *out);  // does not wait where it goes to one
int ct_contiguous(ct_tensor t, ct_tensor *out);
int ct_clone(ct_tensor t, ct_tensor *out);
int ct_detach(ct_tensor t, ct_tensor *out);
int ct_reshape(ct_tensor t, const int64_t *shape, size_t rank, ct_tensor *out);
int ct_transpose(ct_tensor t, int64_t a, int64_t b, ct_tensor *out);
int ct_narrow(ct_tensor t, int64_t dim, int64_t start, int64_t length, ct_tensor *out);
int ct_index_select(ct_tensor t, ct_tensor index, ct_tensor *out);  // along the first axis
int ct_cat(const ct_tensor *parts, size_t count, int64_t dim, ct_tensor *out);
int ct_add(ct_tensor a, ct_tensor b, ct_tensor *out);
int ct_sub(ct_tensor a, ct_tensor b, ct_tensor *out);
int ct_mul(ct_tensor a, ct_tensor b, ct_tensor *out);
int ct_div(ct_tensor a, ct_tensor b, ct_tensor *out);
int ct_affine(ct_tensor t, double factor, double shift, ct_tensor *out);  // t * factor + shift
int ct_matmul(ct_tensor a, ct_tensor b, ct_tensor *out);
int ct_linear(ct_tensor x, ct_tensor weight, ct_tensor bias /* may be NULL */, ct_tensor *out);
int ct_layer_norm(ct_tensor x, ct_tensor weight, ct_tensor bias, ct_tensor *out);  // over the last axis, eps 1e-5
int ct_relu(ct_tensor t, ct_tensor *out);
int ct_silu(ct_tensor t, ct_tensor *out);
int ct_exp(ct_tensor t, ct_tensor *out);
int ct_square(ct_tensor t, ct_tensor *out);
int ct_dropout(ct_tensor t, double probability, ct_tensor *out);
int ct_softmax(ct_tensor t, ct_tensor *out);      // over the last axis
int ct_log_softmax(ct_tensor t, ct_tensor *out);  // over the last axis
int ct_sum(ct_tensor t, ct_tensor *out);          // over everything
int ct_sum_dim(ct_tensor t, int64_t dim, ct_tensor *out);
int ct_cross_entropy(ct_tensor logits, ct_tensor targets, ct_tensor *out);  // mean over rows
int ct_hits(ct_tensor logits, ct_tensor targets, ct_tensor *out);           // rows whose largest number is at the target, float32
int ct_copy_(ct_tensor t, ct_tensor from);
int ct_fill_(ct_tensor t, double value);
int ct_index_copy_(ct_tensor t, ct_tensor index, ct_tensor rows);  // along the first axis

// What jagged batches need (Jagged.cpp).

// Attention of `jets` stretches of rows: jet i has rows offsets[i] ..< offsets[i+1] of q, k, v [rows, width].
// `visible` (may be NULL): only so many of the first keys of each jet can be seen. Causal: key j is seen from query t if j <= t.
// Uniform: not keys beyond these are hidden, but queries beyond these see all keys up to their own alike.
int ct_jagged_attention(ct_tensor q, ct_tensor k, ct_tensor v, const int64_t *offsets, size_t jets, const int64_t *visible, int heads,
                        int causal, int uniform, double dropout, ct_tensor *out);
// The sum over rows of weight[row] times the cross entropy of softmax(x weight' + bias) against targets, without logits of all rows at once.
// `checked`: the targets are known to be within the vocabulary; else they are waited for and looked at.
int ct_linear_cross_entropy(ct_tensor x, ct_tensor weight, ct_tensor bias, ct_tensor targets, ct_tensor row_weights, int checked, ct_tensor *out);
// For each row the lowest index of the nearest of the codes [codes, width], and its squared distance.
int ct_nearest(ct_tensor rows, ct_tensor codes, ct_tensor *index, ct_tensor *distance);
// The sum of the rows of each jet.
int ct_segment_sum(ct_tensor rows, const int64_t *offsets, size_t jets, ct_tensor *out);

// What generation needs (Generation.cpp); none of it records gradients.

// Writes k and v [rows, width] as place `at` of the caches [places, length, width] of the given rows of these, and attends from q to places 0...at.
int ct_cached_attention(ct_tensor q, ct_tensor k, ct_tensor v, ct_tensor key_cache, ct_tensor value_cache, const int64_t *cache_rows, int64_t at,
                        int heads, ct_tensor *out);
// For each row of logits [rows, vocabulary] a token, never 0: the number of tokens whose cumulative probability is at most uniform * total, plus 1.
// temperature 0: the likeliest. top_k 0, top_p 1: all of them. `log_probability` (may be NULL) is that of the whole distribution at temperature 1.
int ct_sample(ct_tensor logits, const double *uniform, double temperature, int64_t top_k, double top_p, int64_t *tokens, double *log_probability);

// Autograd, optimizers (Training.cpp).
int ct_requires_grad(ct_tensor t, int on);
int ct_backward(ct_tensor loss);
int ct_grad(ct_tensor t, ct_tensor *out);   // *out = NULL where there is none
int ct_clear_grad(ct_tensor t);             // set to none, not to zeros
// The L2 norm of all gradients together; where it is above `most`, they are scaled by most / (norm + 1e-6). most <= 0: none is.
int ct_clip_grad_norm(const ct_tensor *parameters, size_t count, double most, double *norm);
// A step of AdamW as PyTorch does it, of parameters that made as many; those without gradient are left alone.
int ct_adamw(const ct_tensor *p, const ct_tensor *m, const ct_tensor *v, size_t count, double rate, double beta1, double beta2, double eps,
             double decay, int64_t step);
typedef struct {
    double rate, beta1, beta2, eps, decay, alpha;
    int64_t lookahead, step;
    int centralise;  // 0: not; 1: gradients; 2: updates, behind weight decay
    int decoupled;   // weight decay before the update and not times the step factor
} ct_ranger_options;
int ct_ranger(const ct_tensor *p, const ct_tensor *m, const ct_tensor *v, const ct_tensor *slow, size_t count, ct_ranger_options options);

// Processes that work together (Collective.cpp). Everything that is started must be seen done before its tensors are read.

typedef struct ct_store_ *ct_store;      // texts by keys, held by one process and seen by all; one thread at a time
typedef struct ct_group_ *ct_group;
typedef struct ct_work_ *ct_work;
typedef struct ct_buckets_ *ct_buckets;

// The master listens at the port, the others connect to it within `timeout` seconds.
int ct_store_open(const char *host, int port, int is_master, double timeout, ct_store *out);
void ct_store_close(ct_store store);
int ct_store_set(ct_store store, const char *key, const void *data, size_t bytes);
int ct_store_set_once(ct_store store, const char *key, const void *data, size_t bytes);  // the first one stays
int ct_store_get(ct_store store, const char *key, void **data, size_t *bytes);           // free(*data); NULL where there is none
int ct_store_add(ct_store store, const char *key, int64_t amount, int64_t *sum);
// The numeric addresses of this machine's interface that leads to a host, and of the host.
int ct_way(const char *host, int port, char *own, char *theirs, size_t room);

int ct_has_nccl(void);  // whether this build can make groups of GPUs
// `backend` is gloo, for tensors of the CPU, or nccl, for those of GPUs. All processes of a group start the same things in the same order.
// Seconds: what is not done after `timeout` has failed; over Gloo the others say within `joining` where they are.
int ct_group_open(ct_store store, const char *backend, const char *address, int rank, int size, double timeout, double joining, ct_group *out);
void ct_group_close(ct_group group);
int ct_group_sum(ct_group group, ct_tensor tensor, ct_work *out);                  // in place
int ct_group_broadcast(ct_group group, ct_tensor tensor, int root, ct_work *out);  // in place
int ct_work_done(ct_work work, int *done);                                         // fails if the work has
void ct_work_free(ct_work work);

// Sums of the gradients of parameters over a group, in stretches of about `bytes`. Overlapping: those whose gradients are whole go out while the
// backward pass that was armed runs on.
int ct_buckets_open(ct_group group, const ct_tensor *parameters, size_t count, size_t bytes, int overlaps, ct_buckets *out);
void ct_buckets_close(ct_buckets buckets);
int ct_buckets_arm(ct_buckets buckets);                // before the last backward pass of a step
int ct_buckets_flush(ct_buckets buckets);              // behind it
int ct_buckets_done(ct_buckets buckets, int *done);    // fails if the work has
int ct_buckets_apply(ct_buckets buckets);              // once it is done: the sums become the gradients

#ifdef __cplusplus
}
#endif
#endif
