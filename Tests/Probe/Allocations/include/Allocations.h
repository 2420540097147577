// Counts allocations of the whole process, in all threads.
#ifndef PANDO_ALLOCATIONS_H
#define PANDO_ALLOCATIONS_H

/// Allocations since the process began.
long pando_allocations(void);
/// The size of the last one, for whoever looks for its cause.
long pando_last_allocation(void);

/// fork(2), which Swift does not offer.
int pando_fork(void);

#endif
