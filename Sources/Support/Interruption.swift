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

    /// Listens to SIGINT, SIGTERM and SIGUSR1, for work that looks at `isRequested`; any other is ended by them at once. The
    /// second one ends the program at once.
    public static func listen() {
        // A parent may have blocked them for its own reasons, and a child inherits that.
        var unblocked = sigset_t()
        sigemptyset(&unblocked)
        for number in wanted { sigaddset(&unblocked, number) }
        pthread_sigmask(SIG_UNBLOCK, &unblocked, nil)
        for number in wanted {
            Glibc.signal(number) { number in
                // The default handler again: whoever is asked twice leaves.
                Glibc.signal(number, SIG_DFL)
                Interruption.received.store(number, ordering: .relaxed)
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
