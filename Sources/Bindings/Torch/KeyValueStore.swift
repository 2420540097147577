import CTorch
import Glibc

/// Texts by keys, which one process holds and all see: c10d's `TCPStore`.
///
/// Not Sendable: each thread opens its own.
public final class KeyValueStore {
    let handle: ct_store

    /// Opens the store at an address: the master listens there, others connect within `timeout` seconds.
    /// - Throws: `TorchError` if the port is taken, or nobody listens.
    public init(host: String, port: Int, isMaster: Bool, timeout: Double) throws(TorchError) {
        var out: ct_store?
        try done(
            "TCPStore", [],
            ct_store_open(host, Int32(clamping: port), isMaster ? 1 : 0, timeout, &out))
        guard let out else { throw TorchError(operation: "TCPStore", message: "no store") }
        handle = out
    }

    deinit { ct_store_close(handle) }

    /// Sets the text of a key.
    public func set(_ key: String, _ text: String) throws(TorchError) {
        let bytes = Array(text.utf8)
        try done("TCPStore.set", [], ct_store_set(handle, key, bytes, bytes.count))
    }

    /// Sets the text of a key that has none.
    public func setOnce(_ key: String, _ text: String) throws(TorchError) {
        let bytes = Array(text.utf8)
        try done("TCPStore.compare_set", [], ct_store_set_once(handle, key, bytes, bytes.count))
    }

    /// The text of a key; nil if it has none.
    public func text(_ key: String) throws(TorchError) -> String? {
        var data: UnsafeMutableRawPointer?, bytes = 0
        try done("TCPStore.get", [], ct_store_get(handle, key, &data, &bytes))
        guard let data else { return nil }
        defer { free(data) }
        return String(decoding: UnsafeRawBufferPointer(start: data, count: bytes), as: UTF8.self)
    }

    /// Adds to a counter, which begins at 0.
    /// - Returns: The sum.
    @discardableResult public func add(_ key: String, _ amount: Int) throws(TorchError) -> Int {
        var sum: Int64 = 0
        try done("TCPStore.add", [], ct_store_add(handle, key, Int64(amount), &sum))
        return Int(sum)
    }

    /// The way from this machine to a host: the numeric addresses of this machine's interface that leads there, and of the host.
    public static func way(to host: String, port: Int) throws(TorchError) -> (own: String, theirs: String) {
        var own = [CChar](repeating: 0, count: 256), theirs = own
        try done("getaddrinfo", [], ct_way(host, Int32(clamping: port), &own, &theirs, own.count))
        func text(_ bytes: [CChar]) -> String {
            String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        return (text(own), text(theirs))
    }
}
