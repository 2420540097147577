import ArrowIPC
import Foundation
import Glibc
import Loader
import Shards
import Support

/// What went wrong last on each thread, for `pando_error`.
enum Failure {
    /// The texts of a thread, in memory of their own that stays until the next failure.
    private final class Slot {
        var text = Handle.copy("")
        var details = Handle.copy("{}")

        deinit {
            text.deallocate()
            details.deallocate()
        }
    }

    /// One slot a thread, freed when it ends.
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        pthread_key_create(&key) { slot in
            if let slot { Unmanaged<Slot>.fromOpaque(slot).release() }
        }
        return key
    }()

    private static var slot: Slot {
        if let known = pthread_getspecific(key) { return Unmanaged<Slot>.fromOpaque(known).takeUnretainedValue() }
        let slot = Slot()
        pthread_setspecific(key, Unmanaged.passRetained(slot).toOpaque())
        return slot
    }

    /// The text of the last failure of this thread; empty if there was none.
    static var text: UnsafePointer<CChar> { UnsafePointer(slot.text) }
    /// The same as JSON.
    static var details: UnsafePointer<CChar> { UnsafePointer(slot.details) }

    /// What is told of an error.
    private struct Details: Encodable {
        var type: String
        var code = ""
        var file = ""
        var place = ""
        var message: String
        var advice: String?
        var text: String
    }

    private static func details(_ error: any Error) -> Details {
        if let error = error as? any AddressedError { return addressed(error) }
        return Details(type: "\(type(of: error))", message: "\(error)", text: "\(error)")
    }

    private static func addressed(_ error: some AddressedError) -> Details {
        let type =
            switch error.code {
            case is LoaderFailure: "LoaderError"
            case is DatasetError.Code: "DatasetError"
            case is ArrowError.Code: "ArrowError"
            default: "\(Swift.type(of: error))"
            }
        return Details(
            type: type, code: "\(error.code)", file: error.file, place: error.place, message: error.message,
            advice: error.advice, text: error.description)
    }

    /// Leaves an error in the slot of this thread.
    static func keep(_ error: any Error) {
        let details = details(error), slot = slot
        slot.text.deallocate()
        slot.details.deallocate()
        slot.text = Handle.copy(details.text)
        slot.details = Handle.copy((try? CanonicalJSON.text(details)) ?? "{}")
    }

    /// Runs what can fail, for a function that returns null then.
    static func orNull<Value>(_ body: () throws -> Value) -> Value? {
        do {
            return try body()
        } catch {
            keep(error)
            return nil
        }
    }

    /// Text that the caller gives back with `pando_string_release`.
    static func textOrNull(_ body: () throws -> String) -> UnsafeMutablePointer<CChar>? {
        orNull(body).map { Handle.copy($0) }
    }

    /// 0, or -1 if `body` fails.
    static func orNegative(_ body: () throws -> Int32) -> Int32 { orNull(body) ?? -1 }
}

/// Swift objects and texts in the hands of C.
enum Handle {
    /// The program's version, for good.
    nonisolated(unsafe) static let version = UnsafePointer(copy(Version.number))

    /// A copy of a text that ends with a zero.
    static func copy(_ text: String) -> UnsafeMutablePointer<CChar> {
        let bytes = text.utf8CString, memory = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
        bytes.withUnsafeBufferPointer { from in
            if let base = from.baseAddress { memory.initialize(from: base, count: from.count) }
        }
        return memory
    }

    /// A pointer that keeps the object, until `close`.
    static func open(_ object: some AnyObject) -> OpaquePointer {
        OpaquePointer(Unmanaged.passRetained(object).toOpaque())
    }

    /// The object behind a pointer.
    static func get<Object: AnyObject>(_ handle: OpaquePointer, _ type: Object.Type) -> Object {
        Unmanaged<Object>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
    }

    /// Lets the object go.
    static func close<Object: AnyObject>(_ handle: OpaquePointer, _ type: Object.Type) {
        Unmanaged<Object>.fromOpaque(UnsafeRawPointer(handle)).release()
    }
}
