/// Numbers of the Arrow IPC format.
///
/// Source: `format/File.fbs`, `Message.fbs` and `Schema.fbs` of Apache Arrow (columnar format 1.5). The numbers of table
/// slots count the fields of a table in those files from 0; a union takes two, its type first.
enum ArrowFormat {
    static let magic: [UInt8] = Array("ARROW1".utf8)
    /// Magic and two bytes of padding.
    static let headMagicSize = 8
    /// Length of the footer (int32) and magic.
    static let trailerSize = 10
    /// The first word of an encapsulated message since 0.15.
    static let continuation = UInt32.max
    /// Buffers, messages and bodies that we write start at multiples of this, as the format recommends.
    static let alignment = 64
    /// The length of the uncompressed bytes before each frame (int64).
    static let prefixSize = 8
    /// In place of that length: the bytes that follow are not compressed.
    static let rawPrefix: Int64 = -1
    /// As deep as Arrow's C++ library goes.
    static let maximumDepth = 64

    static let version4: Int16 = 3
    static let version5: Int16 = 4
    static let littleEndian: Int16 = 0

    enum Header {
        static let schema: UInt8 = 1
        static let dictionaryBatch: UInt8 = 2
        static let recordBatch: UInt8 = 3
    }

    enum Codec {
        static let lz4: Int8 = 0
        static let zstd: Int8 = 1
        /// Each buffer is compressed on its own; there is no other method.
        static let methodBuffer: Int8 = 0
    }

    enum TypeID {
        static let null: UInt8 = 1
        static let int: UInt8 = 2
        static let floatingPoint: UInt8 = 3
        static let binary: UInt8 = 4
        static let utf8: UInt8 = 5
        static let bool: UInt8 = 6
        static let list: UInt8 = 12
        static let structure: UInt8 = 13
        static let union: UInt8 = 14
        static let fixedSizeList: UInt8 = 16
        static let map: UInt8 = 17
        static let largeBinary: UInt8 = 19
        static let largeUTF8: UInt8 = 20
        static let largeList: UInt8 = 21
        static let runEndEncoded: UInt8 = 22
        static let binaryView: UInt8 = 23
        static let utf8View: UInt8 = 24
        static let listView: UInt8 = 25
        static let largeListView: UInt8 = 26

        /// Names for people, by number.
        static let names = [
            "none", "null", "int", "floatingpoint", "binary", "utf8", "bool", "decimal", "date", "time", "timestamp",
            "interval", "list", "struct", "union", "fixed_size_binary", "fixed_size_list", "map", "duration",
            "large_binary", "large_utf8", "large_list", "run_end_encoded", "binary_view", "utf8_view", "list_view",
            "large_list_view",
        ]
    }

    enum Precision {
        static let half: Int16 = 0
        static let single: Int16 = 1
        static let double: Int16 = 2
    }

    /// `count` raised to a multiple of 64.
    static func padded(_ count: Int) -> Int {
        (count + alignment - 1) & ~(alignment - 1)
    }
}
