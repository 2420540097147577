import Support

/// A safetensors file, opened for reading from any number of threads.
///
/// Opening reads and checks the header: every tensor lies where its type and shape say, and all together fill the file without
/// gap or overlap. Data are mapped where that is safe, else read when they are asked for.
public final class SafeTensorsFile: TensorStore {
    /// The path.
    public let path: String
    /// Names in the order of the data.
    public let names: [String]
    /// Texts that the file carries beside the tensors.
    public let metadata: [String: String]
    private let header: SafeTensorsHeader
    private let content: FileBytes
    private let dataOffset: Int

    /// Opens a file.
    /// - Throws: `SafeTensorsError`: `notSafeTensors`, `truncated`, `damaged`, `unsupported` for a type of elements that is not
    ///   read; `system` if the file cannot be.
    public convenience init(path: String) throws(SafeTensorsError) {
        try self.init(FileBytes(path: path))
    }

    /// Reads a file that is in memory; `name` stands for it in errors.
    public convenience init(bytes: [UInt8], name: String = "") throws(SafeTensorsError) {
        try self.init(FileBytes(bytes: bytes, name: name))
    }

    private init(_ content: FileBytes) throws(SafeTensorsError) {
        self.content = content
        path = content.path
        do throws(SafeTensorsError) {
            let head = try content.read(0..<min(8, content.size))
            let offset = try SafeTensorsHeader.dataOffset(head, fileSize: content.size)
            header = try content.withBytes(8..<offset) { bytes throws(SafeTensorsError) in
                try SafeTensorsHeader(bytes, dataLength: content.size - offset)
            }
            dataOffset = offset
        } catch { throw error.inside("", file: content.path) }
        metadata = header.metadata
        names = header.tensors.map(\.entry.name)
    }

    /// What the file says of each tensor, in the order of the data.
    public var entries: [TensorEntry] { header.tensors.map(\.entry) }

    /// What the file says of a tensor.
    /// - Throws: `SafeTensorsError` with code `missing` if there is none of this name.
    public func entry(_ name: String) throws(SafeTensorsError) -> TensorEntry { try tensor(name).entry }

    /// A tensor's bytes, which may be used until `body` returns. They need not be aligned to the elements' size.
    /// - Throws: `SafeTensorsError`: `missing`, `truncated` if the file has shrunk, `system`; what `body` throws.
    public func withBytes<Value>(
        of name: String, _ body: (UnsafeRawBufferPointer) throws -> Value
    ) throws -> Value {
        let tensor = try tensor(name), start = dataOffset + tensor.offset
        let result = try content.withBytes(start..<start + tensor.entry.byteCount) { bytes in
            Result { try body(bytes) }
        }
        return try result.get()
    }

    private func tensor(_ name: String) throws(SafeTensorsError) -> SafeTensorsHeader.Tensor {
        guard let position = header.index[name] else {
            throw SafeTensorsError(
                .missing, file: path, place: "tensor \(name)", message: "is not in the file",
                advice: "there are \(header.tensors.count): \(String.sample(of: names))")
        }
        return header.tensors[position]
    }
}
