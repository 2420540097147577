// Datasets of jets and their loader for C, and for all that calls C: libPandoC.so.
//
// Strings are UTF-8 and end with a zero. What describes something comes as JSON, with the names that Swift's types have.
// A handle belongs to whoever got it and is given back by the function that is named with it; it must not be used after that.
// Null where the comment does not allow it, and a handle of another kind, are mistakes that are not noticed.
//
// Errors: a function that can fail returns null or a negative number, and leaves what happened in the slot of its thread, where
// it stays until the next call on that thread fails.
//
// Threads: a dataset, a loader and a batch may be used by several threads at once, an epoch by one at a time.
//
// fork: what was opened before a fork must not be used in the child; an epoch says so.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__clang__)
#pragma clang assume_nonnull begin
#define PANDO_NULLABLE _Nullable
#else
#define PANDO_NULLABLE
#endif

// A dataset that was opened.
typedef struct pando_dataset pando_dataset;
// Decoded columns of some of its jets.
typedef struct pando_jets pando_jets;
// A loader over one dataset or several.
typedef struct pando_loader pando_loader;
// The batches of an epoch, which its threads make ahead.
typedef struct pando_epoch pando_epoch;

// Element types of columns.
enum pando_type {
    PANDO_INT8 = 0,
    PANDO_INT16,
    PANDO_INT32,
    PANDO_INT64,
    PANDO_UINT8,
    PANDO_UINT16,
    PANDO_UINT32,
    PANDO_UINT64,
    PANDO_FLOAT32,
    PANDO_FLOAT64
};

// Values of a column: one a jet, or those of all constituents, one jet after the other.
typedef struct pando_array {
    // The first value; null if there are none.
    void *PANDO_NULLABLE data;
    // How many values there are.
    int64_t count;
    // One of `pando_type`.
    int32_t type;
    // 1 if there is a value for each constituent.
    int32_t per_constituent;
} pando_array;

// A batch. Its memory is the caller's, who may also write to it, until `pando_batch_release(owner)`; then it is used for another
// batch. What was not asked for has the count 0. All begins at a multiple of 64 bytes.
typedef struct pando_batch {
    // What keeps the memory.
    void *PANDO_NULLABLE owner;
    // The epoch, and the number of the batch in it.
    int64_t epoch, step;
    // Jets, and their constituents as they are stored, before any cut.
    int64_t rows, constituents;
    // [rows, pad length, features], padding 0; jagged: [constituents after cuts, features].
    float *PANDO_NULLABLE features;
    int64_t feature_count;
    // [rows, pad length]: 1 for a constituent, 0 for padding.
    uint8_t *PANDO_NULLABLE mask;
    int64_t mask_count;
    // Jagged features: where each jet's begin, counted in constituents, and where the last one's end.
    int32_t *PANDO_NULLABLE feature_offsets;
    int64_t feature_offset_count;
    // [rows]
    int32_t *PANDO_NULLABLE labels;
    int64_t label_count;
    // [rows, features of jets]
    float *PANDO_NULLABLE jet_features;
    int64_t jet_feature_count;
    // [rows, length] each; the mask is 1 where there is a pair.
    int32_t *PANDO_NULLABLE token_input;
    int32_t *PANDO_NULLABLE token_target;
    uint8_t *PANDO_NULLABLE token_mask;
    int64_t token_count;
    // [rows]: the number of each jet in its dataset, and that of the dataset in a mixture.
    int64_t *PANDO_NULLABLE jets;
    int32_t *PANDO_NULLABLE datasets;
    // Where each jet's constituents begin in columns, and where the last one's end.
    int32_t *PANDO_NULLABLE offsets;
    int64_t offset_count;
} pando_batch;

// Is told how much of all is done, on any thread; what is not 0 ends the work, with an error.
typedef int32_t (*pando_progress)(int64_t done, int64_t total, void *PANDO_NULLABLE context);

// The program's version. Not given back.
const char *pando_version(void);

// What the last failure on this thread was, as one line; empty before the first. Valid until the next one.
const char *pando_error(void);
// The same as JSON: {"type", "code", "file", "place", "message", "advice", "text"}. Valid until the next failure.
const char *pando_error_details(void);

// Gives back a string that a function below returned.
void pando_string_release(char *PANDO_NULLABLE text);

// Opens the dataset in a directory; null on failure.
pando_dataset *PANDO_NULLABLE pando_dataset_open(const char *directory);
void pando_dataset_close(pando_dataset *dataset);
// Jets in it.
int64_t pando_dataset_rows(pando_dataset *dataset);
// {"catalogue": what dataset.json holds, "fields": the columns that can be read, with types, roles, units and meanings}.
char *PANDO_NULLABLE pando_dataset_describe(pando_dataset *dataset);
// Decodes columns of `count` jets from the row `first` on. `columns` is a JSON array of names; null: all of the source's.
pando_jets *PANDO_NULLABLE pando_dataset_read(
    pando_dataset *dataset, int64_t first, int64_t count, const char *PANDO_NULLABLE columns);
// Checks all bytes of the dataset in a directory, and with `lossless` also that decoding gives back the original columns.
// Returns the report, {"damage": [...], "files", "bytes", ...}; null if there is no dataset.
char *PANDO_NULLABLE pando_dataset_verify(
    const char *directory, int32_t lossless, int32_t threads, pando_progress PANDO_NULLABLE progress,
    void *PANDO_NULLABLE context);

// The column of a number, in the order in which they were asked for; -1 if there is none. Valid until the jets are closed.
int32_t pando_jets_column(pando_jets *jets, int32_t number, pando_array *column);
// `count + 1` numbers: where each jet's constituents begin, and where the last one's end.
const int32_t *pando_jets_offsets(pando_jets *jets);
void pando_jets_close(pando_jets *jets);

// Opens datasets for loading. The request is JSON:
//   {"sources": [{"dataset": "aoj.pando", "weight": 1, "split": "train"}],          weight and split may be left out
//    "columns": ["jet_pt"], "features": "released" or a configuration as text, "isJagged": false, "labels": [],
//    "padLength": 128, "axis": "constituents", "jetFeatures": [{"name": "jet_pt"}], in place of the configuration's,
//    "labelColumn": "label", "tokens": {"codebookSize": 8192, "length": 128}, "tokenColumn": "token", "angles": "stored",
//    "options": {"batchSize": 256, "shuffle": true, ...}}
// All but `sources` may be left out; the names are those of LoaderContents and LoaderOptions (docs/loader.md), and a name that
// is none of them is an error.
pando_loader *PANDO_NULLABLE pando_loader_open(const char *request);
void pando_loader_close(pando_loader *loader);
// {"jets", "stepsPerEpoch", "window", "memoryBound", "features", "jetFeatures", "padLength", "tokenLength", "hasLabels", "isJagged",
//  "columns", "state"}; `state` is that at the beginning of epoch 0.
char *PANDO_NULLABLE pando_loader_describe(pando_loader *loader);
// 0 if a state, as JSON, is one of this loader; else -1, with an error that names the difference.
int32_t pando_loader_check(pando_loader *loader, const char *state);
// Where the jets of a batch came from: a JSON array of {"dataset", "jet", "input", "row", "event"}.
char *PANDO_NULLABLE pando_loader_origins(pando_loader *loader, int64_t step, int64_t rank, int64_t epoch);

// Starts the threads that make the batches behind a state, which is JSON: {"fingerprint", "options", "epoch", "step"}. Of `shares`
// processes that deal out whole batches among them, this one makes those of number `share`, `share + shares`, ...; 0 and 1: all.
pando_epoch *PANDO_NULLABLE pando_epoch_begin(pando_loader *loader, const char *state, int64_t share, int64_t shares);
// Waits for the next batch, at most so many seconds. 1: here it is; 0: the epoch has ended; 2: not yet, ask again; -1: an error,
// in the place of its batch.
int32_t pando_epoch_next(pando_epoch *epoch, double seconds, pando_batch *batch);
// What was done so far: {"batches", "decodedBytes", "recordBatches", "stalled", "storedBytes"}. On any thread.
char *PANDO_NULLABLE pando_epoch_counters(pando_epoch *epoch);
// Ends the threads. Batches that were handed out stay.
void pando_epoch_end(pando_epoch *epoch);

// A column of a batch; -1 if it was not asked for. Valid until the batch is released.
int32_t pando_batch_column(void *owner, const char *name, pando_array *column);
// Gives a batch's memory back.
void pando_batch_release(void *owner);

// Rank and world size: {"rank", "size", "origin", "description", "warning"}. `known` is JSON, {"rank", "size", "origin"}: numbers that
// are known, and by whom; null: those that launchers left in the environment.
char *PANDO_NULLABLE pando_resolve_rank(const char *PANDO_NULLABLE known);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#ifdef __cplusplus
}
#endif
