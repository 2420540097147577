/// JSON that keeps the order of keys, which says the order of features and which Foundation's decoder loses.
enum OrderedJSON {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([OrderedJSON])
    case object([(key: String, value: OrderedJSON)])

    /// Parses one value with nothing after it.
    init(parsing text: String) throws(LoaderError) {
        var scanner = Scanner(bytes: Array(text.utf8))
        self = try scanner.value(depth: 0)
        scanner.skipSpace()
        if scanner.position < scanner.bytes.count { throw scanner.failure("more text after the value") }
    }

    /// What it is, for messages.
    var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }

    private struct Scanner {
        let bytes: [UInt8]
        var position = 0

        func failure(_ message: String) -> LoaderError {
            LoaderError(.feature, place: "JSON, byte \(position)", message: message)
        }

        mutating func skipSpace() {
            while position < bytes.count, [0x20, 0x0a, 0x0d, 0x09].contains(bytes[position]) { position += 1 }
        }

        mutating func take(_ character: Unicode.Scalar) -> Bool {
            skipSpace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
            position += 1
            return true
        }

        mutating func expect(_ character: Unicode.Scalar) throws(LoaderError) {
            if !take(character) { throw failure("expected '\(character)'") }
        }

        mutating func value(depth: Int) throws(LoaderError) -> OrderedJSON {
            // Configurations are three levels deep; a file must not be able to exhaust the stack.
            if depth > 64 { throw failure("nested too deep") }
            if take("{") {
                var members: [(key: String, value: OrderedJSON)] = []
                if take("}") { return .object(members) }
                repeat {
                    try expect("\"")
                    let key = try string()
                    if members.contains(where: { $0.key == key }) { throw failure("the key \"\(key)\" comes twice") }
                    try expect(":")
                    members.append((key, try value(depth: depth + 1)))
                } while take(",")
                try expect("}")
                return .object(members)
            }
            if take("[") {
                var elements: [OrderedJSON] = []
                if take("]") { return .array(elements) }
                repeat { elements.append(try value(depth: depth + 1)) } while take(",")
                try expect("]")
                return .array(elements)
            }
            if take("\"") { return .string(try string()) }
            let start = position
            while position < bytes.count, isWord(bytes[position]) { position += 1 }
            let word = String(decoding: bytes[start..<position], as: UTF8.self)
            switch word {
            case "null": return .null
            case "true": return .bool(true)
            case "false": return .bool(false)
            default:
                // Swift also takes "inf", "nan" and hexadecimal numbers; JSON does not.
                if let first = word.utf8.first, first == UInt8(ascii: "-") || first <= UInt8(ascii: "9"),
                    !word.contains(where: { "xXnNpP".contains($0) }), let number = Double(word), number.isFinite
                {
                    return .number(number)
                }
                throw failure(word.isEmpty ? "expected a value" : "'\(word)' is no value")
            }
        }

        func isWord(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
                true
            default: false
            }
        }

        /// The rest of a string whose opening quote is taken.
        mutating func string() throws(LoaderError) -> String {
            var text: [UInt8] = []
            while position < bytes.count {
                let byte = bytes[position]
                position += 1
                if byte == UInt8(ascii: "\"") { return String(decoding: text, as: UTF8.self) }
                if byte == UInt8(ascii: "\\") {
                    guard position < bytes.count else { break }
                    let escaped = bytes[position]
                    position += 1
                    // Names of features are plain; escapes of control characters are of no use in them.
                    guard [UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/")].contains(escaped) else {
                        throw failure("this escape is not supported in names")
                    }
                    text.append(escaped)
                } else {
                    text.append(byte)
                }
            }
            throw failure("a string has no end")
        }
    }
}
