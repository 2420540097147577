import Glibc

/// One real thread: for work that blocks on files and on conditions.
///
/// POSIX's own, since Foundation's brings all of Foundation into what is linked with the runtime inside, 44 MB of it.
public enum WorkerThread {
    /// What a thread runs.
    private final class Work: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Starts a thread that nobody waits for.
    /// - Parameter stackSize: Bytes of its stack.
    /// - Throws: `SystemError` if the system gives no more threads.
    public static func start(
        stackSize: Int = 4 << 20, _ body: @escaping @Sendable () -> Void
    ) throws(SystemError) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, stackSize)
        let work = Unmanaged.passRetained(Work(body))
        var thread = pthread_t()
        let status = pthread_create(
            &thread, &attributes,
            { work in
                if let work { Unmanaged<Work>.fromOpaque(work).takeRetainedValue().body() }
                return nil
            }, work.toOpaque())
        guard status == 0 else {
            work.release()
            throw SystemError(errno: status, file: "", operation: "start a thread")
        }
    }
}
