import Glibc

/// A value behind a lock, with a condition to wait on: what blocking worker threads share.
///
/// `@unchecked Sendable`: `value` is only touched while `lock` is held, and both pthread objects live at fixed
/// addresses for the monitor's whole life.
public final class Monitor<Value: Sendable>: @unchecked Sendable {
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var value: Value

    /// A monitor over a first value.
    public init(_ value: Value) {
        self.value = value
        lock = .allocate(capacity: 1)
        lock.initialize(to: pthread_mutex_t())
        pthread_mutex_init(lock, nil)
        condition = .allocate(capacity: 1)
        condition.initialize(to: pthread_cond_t())
        // The clock that timed waits are counted on: nobody sets it.
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        condition.deallocate()
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    /// Runs `body` on the value under the lock and wakes every waiter.
    public func update<Result, Failure: Error>(
        _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        pthread_mutex_lock(lock)
        defer {
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(lock)
        }
        return try body(&value)
    }

    /// Reads the value under the lock; wakes nobody.
    public func read<Result>(_ body: (Value) -> Result) -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return body(value)
    }

    /// Waits until `body` returns a result, which it may make by changing the value; wakes every waiter then.
    public func wait<Result, Failure: Error>(
        until body: (inout Value) throws(Failure) -> Result?
    ) throws(Failure) -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        while true {
            if let result = try body(&value) {
                pthread_cond_broadcast(condition)
                return result
            }
            pthread_cond_wait(condition, lock)
        }
    }

    /// Waits as `wait(until:)` does, but not longer than some seconds, of which it takes at most 10^9.
    /// - Returns: Nil if `body` has returned no result by then; it is asked at least once.
    public func wait<Result, Failure: Error>(
        seconds: Double, until body: (inout Value) throws(Failure) -> Result?
    ) throws(Failure) -> Result? {
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        let span = min(max(seconds.isFinite ? seconds : 1e9, 0), 1e9)
        end.tv_sec += Int(span)
        end.tv_nsec += Int((span - span.rounded(.down)) * 1e9)
        if end.tv_nsec >= 1_000_000_000 { (end.tv_sec, end.tv_nsec) = (end.tv_sec + 1, end.tv_nsec - 1_000_000_000) }
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        while true {
            if let result = try body(&value) {
                pthread_cond_broadcast(condition)
                return result
            }
            if pthread_cond_timedwait(condition, lock, &end) == ETIMEDOUT { return try body(&value) }
        }
    }
}
