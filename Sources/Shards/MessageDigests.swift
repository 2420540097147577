import ArrowIPC
import Support

/// The digests of a message's parts, as the index holds them.
enum MessageDigests {
    /// XXH3-64 of each part of a message.
    /// - Throws: `ArrowError` if the message has no parts: it is not that of a record batch of ours.
    static func parts(of message: UnsafeRawBufferPointer, locator: BufferLocator) throws -> [Digest] {
        var parts = MessageParts()
        try parts.find(locator.header(message))
        return try (0..<parts.count).map { part in
            // The body is there only by the metadata's word.
            guard let bytes = UntrustedBytes(message).slice(at: parts[part].lowerBound, length: parts[part].count)
            else {
                throw ArrowError(
                    .truncated, message: "part \(part) lies at bytes \(parts[part]) of a message of \(message.count)")
            }
            return Digest(of: bytes.bytes)
        }
    }
}
