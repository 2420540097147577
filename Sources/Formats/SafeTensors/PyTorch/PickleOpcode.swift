/// The opcodes of the pickle protocols 2 to 5 that checkpoints use, by their bytes.
enum PickleOpcode: UInt8 {
    case mark = 0x28  // (
    case emptyTuple = 0x29  // )
    case stop = 0x2e  // .
    case pop = 0x30  // 0
    case popMark = 0x31  // 1
    case duplicate = 0x32  // 2
    case bytes32 = 0x42  // B
    case bytes8 = 0x43  // C
    case float = 0x47  // G
    case int32 = 0x4a  // J
    case uint8 = 0x4b  // K
    case uint16 = 0x4d  // M
    case none = 0x4e  // N
    case persistentID = 0x51  // Q
    case reduce = 0x52  // R
    case oldText32 = 0x54  // T
    case oldText8 = 0x55  // U
    case text32 = 0x58  // X
    case emptyList = 0x5d  // ]
    case append = 0x61  // a
    case build = 0x62  // b
    case global = 0x63  // c
    case dictionary = 0x64  // d
    case appends = 0x65  // e
    case get8 = 0x68  // h
    case get32 = 0x6a  // j
    case list = 0x6c  // l
    case put8 = 0x71  // q
    case put32 = 0x72  // r
    case setItem = 0x73  // s
    case tuple = 0x74  // t
    case setItems = 0x75  // u
    case emptyDictionary = 0x7d  // }
    case proto = 0x80
    case newObject = 0x81
    case tuple1 = 0x85
    case tuple2 = 0x86
    case tuple3 = 0x87
    case newTrue = 0x88
    case newFalse = 0x89
    case long1 = 0x8a
    case long4 = 0x8b
    case text8 = 0x8c
    case text64 = 0x8d
    case bytes64 = 0x8e
    case emptySet = 0x8f
    case addItems = 0x90
    case frozenSet = 0x91
    case newObjectWithKeywords = 0x92
    case stackGlobal = 0x93
    case memoize = 0x94
    case frame = 0x95
    case byteArray64 = 0x96

    /// The name of an opcode that is not read, as Python has it; nil if that has none either.
    static func name(_ code: UInt8) -> String? {
        switch code {
        case 0x46: "FLOAT"
        case 0x49: "INT"
        case 0x4c: "LONG"
        case 0x50: "PERSID"
        case 0x53: "STRING"
        case 0x56: "UNICODE"
        case 0x67: "GET"
        case 0x69: "INST"
        case 0x6f: "OBJ"
        case 0x70: "PUT"
        case 0x82: "EXT1"
        case 0x83: "EXT2"
        case 0x84: "EXT4"
        case 0x97: "NEXT_BUFFER"
        case 0x98: "READONLY_BUFFER"
        default: nil
        }
    }
}
