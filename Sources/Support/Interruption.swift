import Glibc
import Synchronization

/// Signals that ask the program to stop: the work looks here between two steps, saves its state and leaves.
public enum Interruption {
    private static let received = Atomic<Int32>(0)

    /// The signal that came, if one did.
    public static var signal: Int32? {
        let number = received.load(ordering: .relaxed)
        return number == 0 ? nil : number
    }

    /// Whether the work should stop.
    public static var isRequested: Bool { signal != nil }

    /// What is listened to; batch systems send SIGUSR1, if they are told to, some time before they end a job.
    private static let wanted = [SIGINT, SIGTERM, SIGUSR1]

    // When each of them came first, in nanoseconds of the monotonic clock; 0: it has not.
    private static let firstInterrupt = Atomic<Int64>(0)
    private static let firstTerminate = Atomic<Int64>(0)
    private static let firstUser = Atomic<Int64>(0)

    /// Whether a signal that comes now is to end the program at once. Safe in a handler of signals.
    private static func isRepeated(_ number: Int32) -> Bool {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let now = max(1, Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
        let (isFirst, first) =
            switch number {
            case SIGINT: firstInterrupt.compareExchange(expected: 0, desired: now, ordering: .relaxed)
            case SIGTERM: firstTerminate.compareExchange(expected: 0, desired: now, ordering: .relaxed)
            default: firstUser.compareExchange(expected: 0, desired: now, ordering: .relaxed)
            }
        // Whoever signals a launcher and its processes, or a group and a child of it, reaches some of them twice (`timeout`,
        // systemd, schedulers): for a second that is one wish.
        return !isFirst && now &- first >= 1_000_000_000
    }

    /// Listens to SIGINT, SIGTERM and SIGUSR1, for work that looks at `isRequested`; any other is ended by them at once. The
    /// same one again, a second or more after it came first, ends the program at once.
    public static func listen() {
        // A parent may have blocked them for its own reasons, and a child inherits that.
        var unblocked = sigset_t()
        sigemptyset(&unblocked)
        for number in wanted { sigaddset(&unblocked, number) }
        pthread_sigmask(SIG_UNBLOCK, &unblocked, nil)
        // What is made at its first use is made before a handler may be the first to use it.
        _ = (
            signal, firstInterrupt.load(ordering: .relaxed), firstTerminate.load(ordering: .relaxed),
            firstUser.load(ordering: .relaxed)
        )
        for number in wanted {
            Glibc.signal(number) { number in
                Interruption.received.store(number, ordering: .relaxed)
                guard Interruption.isRepeated(number) else { return }
                // Whoever is asked twice leaves: by the default handler, as soon as this one returns.
                Glibc.signal(number, SIG_DFL)
                raise(number)
            }
        }
    }

    /// Ends the program by the signal that came, so that shells and schedulers see it.
    public static func resign() -> Never {
        guard let number = signal else { exit(1) }
        Glibc.signal(number, SIG_DFL)
        raise(number)
        exit(128 + number)
    }
}
