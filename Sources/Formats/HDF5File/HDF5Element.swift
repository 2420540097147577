import CHDF5

/// The type of a dataset's elements.
public enum HDF5Element: Hashable, Sendable, CustomStringConvertible {
    case int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64
    /// A type that this room does not read, in words.
    case unsupported(String)

    /// Bytes of one element; nil for types that are not read.
    public var byteCount: Int? {
        switch self {
        case .int8, .uint8: 1
        case .int16, .uint16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64: 8
        case .unsupported: nil
        }
    }

    public var description: String {
        switch self {
        case .int8: "int8"
        case .int16: "int16"
        case .int32: "int32"
        case .int64: "int64"
        case .uint8: "uint8"
        case .uint16: "uint16"
        case .uint32: "uint32"
        case .uint64: "uint64"
        case .float32: "float32"
        case .float64: "float64"
        case .unsupported(let words): words
        }
    }

    /// The order of an element's bytes in the file.
    public enum ByteOrder: Sendable {
        case littleEndian, bigEndian
    }

    /// libhdf5's little-endian type; nil for types that are not read. Call under the library's lock.
    var littleEndianType: hid_t? {
        switch self {
        case .int8: pando_H5T_STD_I8LE()
        case .int16: pando_H5T_STD_I16LE()
        case .int32: pando_H5T_STD_I32LE()
        case .int64: pando_H5T_STD_I64LE()
        case .uint8: pando_H5T_STD_U8LE()
        case .uint16: pando_H5T_STD_U16LE()
        case .uint32: pando_H5T_STD_U32LE()
        case .uint64: pando_H5T_STD_U64LE()
        case .float32: pando_H5T_IEEE_F32LE()
        case .float64: pando_H5T_IEEE_F64LE()
        case .unsupported: nil
        }
    }

    private var bigEndianType: hid_t? {
        switch self {
        case .int8: pando_H5T_STD_I8BE()
        case .int16: pando_H5T_STD_I16BE()
        case .int32: pando_H5T_STD_I32BE()
        case .int64: pando_H5T_STD_I64BE()
        case .uint8: pando_H5T_STD_U8BE()
        case .uint16: pando_H5T_STD_U16BE()
        case .uint32: pando_H5T_STD_U32BE()
        case .uint64: pando_H5T_STD_U64BE()
        case .float32: pando_H5T_IEEE_F32BE()
        case .float64: pando_H5T_IEEE_F64BE()
        case .unsupported: nil
        }
    }

    static let all: [HDF5Element] = [
        .int8, .int16, .int32, .int64, .uint8, .uint16, .uint32, .uint64, .float32, .float64,
    ]

    /// The element type and byte order that a type of a file means. Call under the library's lock.
    static func of(_ type: hid_t) -> (HDF5Element, ByteOrder) {
        for element in all {
            if let id = element.littleEndianType, H5Tequal(type, id) > 0 { return (element, .littleEndian) }
        }
        for element in all {
            if let id = element.bigEndianType, H5Tequal(type, id) > 0 { return (element, .bigEndian) }
        }
        let order: ByteOrder = H5Tget_order(type) == H5T_ORDER_BE ? .bigEndian : .littleEndian
        return (.unsupported(words(for: type)), order)
    }

    private static func words(for type: hid_t) -> String {
        let bits = H5Tget_size(type) * 8
        return switch H5Tget_class(type) {
        case H5T_INTEGER: "integer of \(bits) bits, not a standard one"
        case H5T_FLOAT: "floating point of \(bits) bits"
        case H5T_STRING: H5Tis_variable_str(type) > 0 ? "string" : "string of \(bits / 8) bytes"
        case H5T_BITFIELD: "bit field of \(bits) bits"
        case H5T_OPAQUE: "opaque, \(bits / 8) bytes"
        case H5T_COMPOUND: "compound of \(bits / 8) bytes"
        case H5T_REFERENCE: "reference"
        case H5T_ENUM: "enumeration of \(bits) bits"
        case H5T_VLEN: "variable length"
        case H5T_ARRAY: "array of \(bits / 8) bytes"
        default: "unknown type"
        }
    }
}
