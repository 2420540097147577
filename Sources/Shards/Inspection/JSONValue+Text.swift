extension JSONValue {
    /// An unsigned number; as text beyond the largest signed one.
    public init(_ value: UInt64) {
        self = Int64(exactly: value).map { .integer($0) } ?? .string(String(value))
    }

    /// JSON on one line with sorted keys, for values and not only for readers: a floating point number has its shortest
    /// form that reads back as the same number and always a point or an exponent (so -0.0 keeps its sign); what is not
    /// finite is the text `NaN`, `inf` or `-inf`.
    public var text: String {
        var text = ""
        write(to: &text)
        return text
    }

    private func write(to text: inout String) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .number(let value):
            text += value.isFinite ? value.description : value.isNaN ? "\"NaN\"" : value < 0 ? "\"-inf\"" : "\"inf\""
        case .string(let value): Self.write(value, to: &text)
        case .array(let values):
            text += "["
            for (index, value) in values.enumerated() {
                if index > 0 { text += "," }
                value.write(to: &text)
            }
            text += "]"
        case .object(let members):
            text += "{"
            for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { text += "," }
                Self.write(member.key, to: &text)
                text += ":"
                member.value.write(to: &text)
            }
            text += "}"
        }
    }

    private static func write(_ string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
