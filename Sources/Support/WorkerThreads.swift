import Synchronization

/// Real threads for work that blocks on files and on conditions; Swift's cooperative pool must not be blocked.
public enum WorkerThreads {
    /// Runs `body(index)` on `count` threads and waits for all of them; throws the first error by thread number.
    public static func run(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Void) throws {
        let outcome = Monitor(Outcome())
        @Sendable func finish(_ index: Int, _ failure: (any Error)?) {
            outcome.update { state in
                state.finished += 1
                if let failure, state.failure.map({ index < $0.0 }) ?? true { state.failure = (index, failure) }
            }
        }
        for index in 0..<max(1, count) {
            do {
                try WorkerThread.start {
                    var failure: (any Error)?
                    do { try body(index) } catch { failure = error }
                    finish(index, failure)
                }
            } catch {
                finish(index, error)
            }
        }
        let failure = outcome.wait { $0.finished == max(1, count) ? .some($0.failure?.1) : nil }
        if let failure { throw failure }
    }

    /// Runs `body(item)` for every number below `items` on at most `threads` threads; stops early at the first error.
    public static func forEach(_ items: Int, threads: Int, _ body: @escaping @Sendable (Int) throws -> Void) throws {
        let next = Atomic<Int>(0)
        let shared = Shared(next)
        try run(max(1, min(threads, items))) { _ in
            while true {
                let item = shared.take()
                guard item < items else { return }
                do { try body(item) } catch {
                    shared.stop(at: items)
                    throw error
                }
            }
        }
    }

    private struct Outcome: Sendable {
        var finished = 0
        var failure: (Int, any Error)?
    }

    /// A counter that closures can share.
    private final class Shared: Sendable {
        let next: Atomic<Int>
        init(_ next: consuming Atomic<Int>) { self.next = next }
        func take() -> Int { next.wrappingAdd(1, ordering: .relaxed).oldValue }
        func stop(at end: Int) { next.store(end, ordering: .relaxed) }
    }
}
