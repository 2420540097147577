import Support

/// A tensor on its way into a file: what it is, and where its bytes come from when their turn has come.
public struct OutgoingTensor {
    /// Name, type and shape.
    public let entry: TensorEntry
    let provide: (_ write: (UnsafeRawBufferPointer) throws -> Void) throws -> Void

    /// A tensor whose bytes `provide` hands over when asked, in one piece or several, so that no copy need be kept.
    ///
    /// - Parameter provide: Is called once; must call `write` with all elements in order, little-endian.
    /// - Throws: `SafeTensorsError` with code `usage` if the shape is impossible.
    public init(
        _ name: String, type: TensorType, shape: [Int],
        provide: @escaping (_ write: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws(SafeTensorsError) {
        guard let entry = TensorEntry(name: name, type: type, shape: shape) else {
            throw SafeTensorsError(.usage, place: "tensor \(name)", message: "shape \(shape) is impossible")
        }
        self.entry = entry
        self.provide = provide
    }

    /// A tensor of an array's elements.
    /// - Throws: `SafeTensorsError` with code `usage` if their number does not fit the shape.
    public init<Element: TensorElement>(
        _ name: String, shape: [Int], _ elements: [Element]
    ) throws(SafeTensorsError) {
        try self.init(name, type: Element.tensorType, shape: shape) { write in
            try elements.withUnsafeBytes { try write($0) }
        }
        guard entry.count == elements.count else { throw Self.misfit(entry, elements.count * entry.type.size) }
    }

    /// A tensor of bytes as they are: for types that Swift's arrays do not have.
    /// - Throws: `SafeTensorsError` with code `usage` if their number does not fit type and shape.
    public init(_ name: String, type: TensorType, shape: [Int], bytes: [UInt8]) throws(SafeTensorsError) {
        try self.init(name, type: type, shape: shape) { write in try bytes.withUnsafeBytes { try write($0) } }
        guard entry.byteCount == bytes.count else { throw Self.misfit(entry, bytes.count) }
    }

    static func misfit(_ entry: TensorEntry, _ count: Int) -> SafeTensorsError {
        SafeTensorsError(
            .usage, place: "tensor \(entry.name)",
            message: "\(count) bytes for \(entry.byteCount) of \(entry.type.rawValue) \(entry.shape)")
    }
}

/// Writes safetensors files.
public enum SafeTensorsWriter {
    /// Writes a file that appears under its name only when it is whole, and on disk.
    ///
    /// The same tensors give the same bytes, in whatever order they come: data are sorted by type, large elements first, then by
    /// name, as the reference implementation does. They begin at a multiple of 8, each tensor at a multiple of its elements' size.
    /// - Throws: `SafeTensorsError`: `usage` if two tensors have one name, or one gives other bytes than its shape says; `system` if
    ///   the file cannot be written; what a tensor's `provide` throws. Then no file is left.
    public static func write(
        path: String, tensors: [OutgoingTensor], metadata: [String: String] = [:]
    ) throws {
        let sorted = try arrange(tensors, file: path)
        let header: [UInt8]
        do throws(SafeTensorsError) {
            header = try SafeTensorsHeader.encode(sorted.map(\.entry), metadata: metadata)
        } catch { throw error.inside("", file: path) }
        do {
            let output = try OutputFile(path: path)
            try output.write(header)
            for tensor in sorted {
                let start = output.count
                try tensor.provide { bytes in
                    guard bytes.count <= tensor.entry.byteCount - (output.count - start) else {
                        let count = output.count - start + bytes.count
                        throw OutgoingTensor.misfit(tensor.entry, count).inside("", file: path)
                    }
                    try output.write(bytes)
                }
                guard output.count - start == tensor.entry.byteCount else {
                    throw OutgoingTensor.misfit(tensor.entry, output.count - start).inside("", file: path)
                }
            }
            try output.publish()
        } catch let error as SystemError { throw SafeTensorsError(error) }
    }

    /// The tensors in the order of the file.
    private static func arrange(_ tensors: [OutgoingTensor], file: String) throws(SafeTensorsError) -> [OutgoingTensor]
    {
        var names = NameIndex(capacity: tensors.count)
        for (position, tensor) in tensors.enumerated() {
            let name = tensor.entry.name
            guard !name.utf8.elementsEqual(SafeTensorsHeader.metadataKey.utf8) else {
                throw SafeTensorsError(.usage, file: file, place: "tensor \(name)", message: "is kept for metadata")
            }
            guard names.insert(name, at: position) else {
                throw SafeTensorsError(.usage, file: file, place: "tensor \(name)", message: "stands there twice")
            }
        }
        return tensors.sorted { left, right in
            let (a, b) = (left.entry, right.entry)
            return a.type == b.type ? a.name.precedesByBytes(b.name) : a.type.order < b.type.order
        }
    }
}
