import CHDF5

/// An attribute of a group or dataset, for people to look at.
public struct HDF5Attribute: Sendable {
    /// Its name.
    public var name: String
    /// The element type in words.
    public var type: String
    /// Elements along each axis; empty for a scalar.
    public var shape: [Int]
    /// The value as text; long ones are cut after 64 elements.
    public var value: String

    /// All attributes of an object, by name. Call under the library's lock.
    static func all(of object: hid_t, file: String, place: String) throws(HDF5Error) -> [HDF5Attribute] {
        let count = pando_attribute_count(object)
        guard count >= 0 else {
            throw HDF5Error(.library, file: file, place: place, message: HDF5Library.errorText())
        }
        var attributes: [HDF5Attribute] = []
        for index in 0..<count {
            guard
                let handle = Handle(
                    H5Aopen_by_idx(
                        object, ".", H5_INDEX_NAME, H5_ITER_INC, hsize_t(index), pando_H5P_DEFAULT(),
                        pando_H5P_DEFAULT()))
            else {
                throw HDF5Error(
                    .library, file: file, place: place,
                    message: "cannot open attribute \(index): \(HDF5Library.errorText())")
            }
            attributes.append(HDF5Attribute(handle))
        }
        return attributes
    }

    private init(_ handle: Handle) {
        var name = [CChar](repeating: 0, count: 1024)
        self.name = H5Aget_name(handle.id, name.count, &name) >= 0 ? String(cBytes: name) : "?"
        guard let type = Handle(H5Aget_type(handle.id)), let space = Handle(H5Aget_space(handle.id)) else {
            (self.type, shape, value) = ("?", [], "(\(HDF5Library.errorText()))")
            return
        }
        let (element, _) = HDF5Element.of(type.id)
        self.type = element.description
        let rank = max(0, Int(H5Sget_simple_extent_ndims(space.id)))
        var dims = [hsize_t](repeating: 0, count: rank)
        H5Sget_simple_extent_dims(space.id, &dims, nil)
        shape = dims.map { Int(clamping: $0) }
        let count = Int(clamping: H5Sget_simple_extent_npoints(space.id))
        guard count > 0, H5Sget_simple_extent_type(space.id) != H5S_NULL else {
            value = "(empty)"
            return
        }
        // An attribute is kilobytes; a file that claims more is not believed.
        let size = H5Tget_size(type.id)
        guard size > 0, count <= 1 << 20, size <= (1 << 20) / count else {
            value = "(\(count) elements)"
            return
        }
        let words = Self.words(of: handle, type: type, space: space, element: element, count: count, size: size)
        guard let words else {
            value = "(not shown)"
            return
        }
        let shown = words.prefix(64).joined(separator: ", ")
        value = shape.isEmpty ? shown : "[\(shown)\(words.count > 64 ? ", ..." : "")]"
    }

    /// The elements as text; nil if they cannot be read.
    private static func words(
        of handle: Handle, type: Handle, space: Handle, element: HDF5Element, count: Int, size: Int
    ) -> [String]? {
        switch element {
        case .float32:
            read(handle, as: Float.self, .float32, count)?.map { "\($0)" }
        case .float64:
            read(handle, as: Double.self, .float64, count)?.map { "\($0)" }
        case .uint8, .uint16, .uint32, .uint64:
            read(handle, as: UInt64.self, .uint64, count)?.map { "\($0)" }
        case .int8, .int16, .int32, .int64:
            read(handle, as: Int64.self, .int64, count)?.map { "\($0)" }
        case .unsupported:
            switch H5Tget_class(type.id) {
            case H5T_STRING: strings(of: handle, type: type, space: space, count: count, size: size)
            case H5T_ENUM: read(handle, as: Int64.self, .int64, count)?.map { "\($0)" }
            default: nil
            }
        }
    }

    private static func read<Value>(
        _ handle: Handle, as type: Value.Type, _ element: HDF5Element, _ count: Int
    ) -> [Value]? {
        guard let memory = element.littleEndianType else { return nil }
        var failed = false
        let values = [Value](unsafeUninitializedCapacity: count) { buffer, done in
            guard let base = buffer.baseAddress else { return }
            failed = H5Aread(handle.id, memory, base) < 0
            done = failed ? 0 : count
        }
        return failed ? nil : values
    }

    private static func strings(of handle: Handle, type: Handle, space: Handle, count: Int, size: Int) -> [String]? {
        if H5Tis_variable_str(type.id) > 0 {
            var pointers = [UnsafeMutablePointer<CChar>?](repeating: nil, count: count)
            guard H5Aread(handle.id, type.id, &pointers) >= 0 else { return nil }
            let words = pointers.map { $0.map { String(cString: $0) } ?? "" }
            H5Dvlen_reclaim(type.id, space.id, pando_H5P_DEFAULT(), &pointers)
            return words
        }
        var bytes = [CChar](repeating: 0, count: count * size)
        guard H5Aread(handle.id, type.id, &bytes) >= 0 else { return nil }
        let isPaddedBySpaces = H5Tget_strpad(type.id) == H5T_STR_SPACEPAD
        return (0..<count).map { index in
            var text = String(cBytes: Array(bytes[index * size..<(index + 1) * size]))
            while isPaddedBySpaces, text.last == " " { text.removeLast() }
            return text
        }
    }
}
