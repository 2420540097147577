import Support

/// A file's bytes: mapped where that is safe, read piece by piece elsewhere, or in memory from the start.
final class FileBytes: Sendable {
    private enum Content: Sendable {
        case memory([UInt8])
        case mapped(MappedFile)
        case input(InputFile)
    }

    /// The path, or the name that stands for it.
    let path: String
    /// How many bytes there are.
    let size: Int
    private let content: Content

    init(path: String) throws(SafeTensorsError) {
        do throws(SystemError) {
            let input = try InputFile(path: path)
            size = input.size
            content = input.isLocal ? .mapped(try input.map()) : .input(input)
        } catch { throw SafeTensorsError(error) }
        self.path = path
    }

    init(bytes: [UInt8], name: String) {
        path = name
        size = bytes.count
        content = .memory(bytes)
    }

    /// Bytes that may be used until `body` returns.
    /// - Throws: `SafeTensorsError`: `truncated` if the range leads outside or the file has shrunk; `system`; what `body` throws.
    func withBytes<Value>(
        _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws(SafeTensorsError) -> Value
    ) throws(SafeTensorsError) -> Value {
        guard range.lowerBound >= 0, range.upperBound <= size else {
            throw SafeTensorsError(
                .truncated, file: path, place: "bytes \(range)", message: "the file has \(size) bytes",
                advice: "it was cut short: get a new copy")
        }
        switch content {
        case .memory(let bytes):
            return try Self.withBytes(of: bytes) { bytes throws(SafeTensorsError) in
                try body(UnsafeRawBufferPointer(rebasing: bytes[range]))
            }
        case .mapped(let file):
            do throws(SystemError) { if !range.isEmpty { try file.populate(range) } } catch {
                throw SafeTensorsError(error)
            }
            defer { withExtendedLifetime(file) {} }
            return try body(UnsafeRawBufferPointer(rebasing: file.bytes[range]))
        case .input(let input):
            let buffer = AlignedBuffer(capacity: range.count)
            defer { withExtendedLifetime(buffer) {} }
            let target = UnsafeMutableRawBufferPointer(start: buffer.base, count: range.count)
            do throws(SystemError) { try input.read(at: range.lowerBound, into: target) } catch {
                throw SafeTensorsError(error)
            }
            return try body(UnsafeRawBufferPointer(target))
        }
    }

    /// A copy of some bytes.
    func read(_ range: Range<Int>) throws(SafeTensorsError) -> [UInt8] {
        try withBytes(range) { bytes throws(SafeTensorsError) in Array(bytes) }
    }

    /// The standard library's face does not keep the type of the error.
    static func withBytes<Value>(
        of array: [UInt8], _ body: (UnsafeRawBufferPointer) throws(SafeTensorsError) -> Value
    ) throws(SafeTensorsError) -> Value {
        let result = array.withUnsafeBytes { bytes -> Result<Value, SafeTensorsError> in
            do throws(SafeTensorsError) { return .success(try body(bytes)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}
