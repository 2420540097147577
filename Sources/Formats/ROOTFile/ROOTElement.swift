/// The values that branches hold.
public enum ROOTElement: String, Sendable, Codable, CaseIterable {
    case bool, int8, uint8, int16, uint16, int32, uint32, int64, uint64, float32, float64
    /// UTF-8, or whatever bytes were written.
    case string

    /// Bytes of a value in memory; of a string those of one of its bytes.
    public var width: Int {
        switch self {
        case .bool, .int8, .uint8, .string: 1
        case .int16, .uint16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64: 8
        }
    }

    /// The type of a streamer's basic code (TVirtualStreamerInfo's EReadWrite), `long` having eight bytes on disk.
    init?(streamerCode code: Int) {
        switch code {
        case 1, 10: self = .int8
        case 2: self = .int16
        case 3: self = .int32
        case 4, 16: self = .int64
        case 5: self = .float32
        case 6, 13, 15: self = .uint32
        case 8: self = .float64
        case 11: self = .uint8
        case 12: self = .uint16
        case 14, 17: self = .uint64
        case 18: self = .bool
        default: return nil
        }
    }

    /// The type of a C++ name, as it stands in `vector<...>` or as a typedef of ROOT's.
    init?(typeName: String) {
        switch typeName {
        case "bool", "Bool_t": self = .bool
        case "char", "Char_t", "signed char", "int8_t": self = .int8
        case "unsigned char", "UChar_t", "uint8_t": self = .uint8
        case "short", "Short_t", "int16_t": self = .int16
        case "unsigned short", "UShort_t", "uint16_t": self = .uint16
        case "int", "Int_t", "int32_t": self = .int32
        case "unsigned int", "UInt_t", "unsigned", "uint32_t": self = .uint32
        case "long", "Long_t", "Long64_t", "long long", "int64_t": self = .int64
        case "unsigned long", "ULong_t", "ULong64_t", "unsigned long long", "uint64_t": self = .uint64
        case "float", "Float_t": self = .float32
        case "double", "Double_t": self = .float64
        default: return nil
        }
    }
}
