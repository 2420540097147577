import CHDF5
import Foundation

/// The one door to libhdf5: its set-up, its lock, its error stack.
enum HDF5Library {
    /// libhdf5 may be built without its own lock, so every call is made under this one.
    private static let lock = NSRecursiveLock()

    /// Done once, before the library's first call.
    private static let isReady: Bool = {
        // File locks fail on many network file systems; a reader does not need them. A user's own choice stands.
        setenv("HDF5_USE_FILE_LOCKING", "FALSE", 0)
        return H5open() >= 0
    }()

    /// Takes the lock; every use of the library lies between `enter` and `leave`.
    static func enter() {
        lock.lock()
        _ = isReady
        // The error stack and its printing belong to the thread.
        H5Eset_auto2(pando_H5E_DEFAULT(), nil, nil)
    }

    /// Gives the lock back.
    static func leave() {
        lock.unlock()
    }

    /// How many chunks of a dataset exist, by a walk over its chunk index; nil on failure.
    static func chunkCount(of dataset: Handle) -> Int? {
        var count: hsize_t = 0
        // Before 1.12, H5S_ALL is not taken here.
        guard let space = Handle(H5Dget_space(dataset.id)), H5Dget_num_chunks(dataset.id, space.id, &count) >= 0 else {
            return nil
        }
        return Int(clamping: count)
    }

    /// What the library's error stack of this thread says: the outermost and the innermost reason.
    static func errorText() -> String {
        var lines: [String] = []
        withUnsafeMutablePointer(to: &lines) { pointer in
            _ = H5Ewalk2(
                pando_H5E_DEFAULT(), H5E_WALK_DOWNWARD,
                { _, entry, target in
                    if let target, let text = entry?.pointee.desc {
                        target.assumingMemoryBound(to: [String].self).pointee.append(String(cString: text))
                    }
                    return 0
                }, pointer)
        }
        guard let first = lines.first, let last = lines.last else { return "libhdf5 gave no reason" }
        return lines.count == 1 ? first : "\(first) (\(last))"
    }
}

/// An identifier of libhdf5, given back when the object goes.
final class Handle: Sendable {
    let id: hid_t

    /// Takes over an identifier; nil if it is libhdf5's sign of failure.
    init?(_ id: hid_t) {
        guard id >= 0 else { return nil }
        self.id = id
    }

    deinit {
        HDF5Library.enter()
        H5Idec_ref(id)
        HDF5Library.leave()
    }
}
