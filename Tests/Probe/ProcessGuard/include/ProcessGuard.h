// What a test wants to know of a process that reads damaged files.
#ifndef PANDO_PROCESS_GUARD_H
#define PANDO_PROCESS_GUARD_H

/// Begins to measure: what the calling thread holds of malloc's memory now counts as nothing.
void pando_guard_begin(void);
/// The most bytes that the thread has held since, those asked for and not given counted too.
long pando_guard_peak(void);

/// Says on stderr which item a thread is at if it ends the process by a signal.
void pando_guard_signals(void);
/// Which item the calling thread is at.
void pando_guard_item(long number);

/// Refuses memory beyond so many bytes to this process.
void pando_guard_limit(unsigned long bytes);

#endif
