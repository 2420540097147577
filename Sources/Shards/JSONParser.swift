import Support

extension JSONValue {
    /// Reads JSON (RFC 8259), some ten times as fast as `JSONDecoder` reads a `JSONValue`, which guesses each value's type.
    /// Of members of one name the last one counts.
    /// - Parameter depth: How deep arrays and objects may be nested.
    /// - Throws: `DecodingError.dataCorrupted` that says where the text is no JSON.
    public init(parsing bytes: [UInt8], depth: Int = 128) throws {
        self = try bytes.withUnsafeBufferPointer { bytes in
            var parser = JSONParser(bytes: bytes, deepest: depth)
            return try parser.whole()
        }
    }
}

/// A recursive descent through the bytes; every access is behind a look at the end.
private struct JSONParser {
    let bytes: UnsafeBufferPointer<UInt8>
    let deepest: Int
    var place = 0
    var depth = 0

    init(bytes: UnsafeBufferPointer<UInt8>, deepest: Int) {
        self.bytes = bytes
        self.deepest = deepest
    }

    private func fault(_ message: String) -> DecodingError {
        .dataCorrupted(.init(codingPath: [], debugDescription: "\(message) at byte \(place)"))
    }

    /// The byte at the place; 0, which no JSON begins with, at the end.
    private var next: UInt8 { place < bytes.count ? bytes[place] : 0 }

    private mutating func skipSpace() {
        while place < bytes.count {
            switch bytes[place] {
            case 0x20, 0x0a, 0x0d, 0x09: place += 1
            default: return
            }
        }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard place < bytes.count, bytes[place] == UInt8(ascii: character) else { return false }
        place += 1
        return true
    }

    mutating func whole() throws -> JSONValue {
        let value = try value()
        guard place == bytes.count else { throw fault("something behind the end of the JSON") }
        return value
    }

    /// A value with the space around it.
    private mutating func value() throws -> JSONValue {
        skipSpace()
        defer { skipSpace() }
        switch next {
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "{"): return try nested { try $0.object() }
        case UInt8(ascii: "["): return try nested { try $0.array() }
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw fault(place < bytes.count ? "no JSON value" : "the JSON ends early")
        }
    }

    private mutating func nested(_ body: (inout JSONParser) throws -> JSONValue) throws -> JSONValue {
        depth += 1
        defer { depth -= 1 }
        guard depth <= deepest else { throw fault("nested deeper than \(deepest) levels") }
        place += 1
        return try body(&self)
    }

    private mutating func word(_ text: StaticString, _ value: JSONValue) throws -> JSONValue {
        for index in 0..<text.utf8CodeUnitCount {
            guard next == text.utf8Start[index] else { throw fault("no JSON value") }
            place += 1
        }
        return value
    }

    private mutating func array() throws -> JSONValue {
        var values: [JSONValue] = []
        skipSpace()
        if take("]") { return .array(values) }
        repeat { values.append(try value()) } while take(",")
        guard take("]") else { throw fault("no ',' or ']' in an array") }
        return .array(values)
    }

    private mutating func object() throws -> JSONValue {
        var members: [String: JSONValue] = [:]
        skipSpace()
        if take("}") { return .object(members) }
        repeat {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw fault("no name in an object") }
            let name = try string()
            skipSpace()
            guard take(":") else { throw fault("no ':' behind a name") }
            members[name] = try value()
        } while take(",")
        guard take("}") else { throw fault("no ',' or '}' in an object") }
        return .object(members)
    }

    /// A whole number where it is written as one and has 63 bits and a sign, or has an exponent or a point and is below 2^53; else the
    /// nearest float64.
    private mutating func number() throws -> JSONValue {
        let start = place
        func digits(_ parser: inout JSONParser) -> Int {
            let first = parser.place
            while parser.place < parser.bytes.count, (0x30...0x39).contains(parser.bytes[parser.place]) {
                parser.place += 1
            }
            return parser.place - first
        }
        _ = take("-")
        let isZero = next == UInt8(ascii: "0"), whole = digits(&self)
        guard whole == 1 || whole > 1 && !isZero else { throw fault("no JSON number") }
        var isPlain = true
        if take(".") {
            isPlain = false
            guard digits(&self) > 0 else { throw fault("no JSON number") }
        }
        if take("e") || take("E") {
            isPlain = false
            _ = take("-") || take("+")
            guard digits(&self) > 0 else { throw fault("no JSON number") }
        }
        let text = String(decoding: bytes[start..<place], as: UTF8.self)
        if isPlain, let value = Int64(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw fault("a number that float64 does not hold") }
        // Beyond 2^53 the digits that were written need not be those of the float64 that was meant.
        if abs(value) < 0x1p53, let whole = Int64(exactly: value) { return .integer(whole) }
        return .number(value)
    }

    private mutating func string() throws -> String {
        place += 1
        let start = place
        while place < bytes.count, bytes[place] != UInt8(ascii: "\""), bytes[place] != UInt8(ascii: "\\") {
            guard bytes[place] >= 0x20 else { throw fault("a control character in a text") }
            place += 1
        }
        if next == UInt8(ascii: "\"") {
            defer { place += 1 }
            return try text(bytes[start..<place])
        }
        var characters = Array(bytes[start..<place])
        while place < bytes.count {
            let byte = bytes[place]
            guard byte >= 0x20 else { throw fault("a control character in a text") }
            place += 1
            if byte == UInt8(ascii: "\"") { return try text(characters[...]) }
            if byte == UInt8(ascii: "\\") { try escape(&characters) } else { characters.append(byte) }
        }
        throw fault("the JSON ends in a text")
    }

    private func text(_ bytes: some Collection<UInt8>) throws -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw fault("a text that is not UTF-8") }
        return text
    }

    private mutating func escape(_ characters: inout [UInt8]) throws {
        let code = next
        place += 1
        let plain: [UInt8: UInt8] = [
            UInt8(ascii: "\""): 0x22, UInt8(ascii: "\\"): 0x5c, UInt8(ascii: "/"): 0x2f, UInt8(ascii: "b"): 8,
            UInt8(ascii: "f"): 12, UInt8(ascii: "n"): 10, UInt8(ascii: "r"): 13, UInt8(ascii: "t"): 9,
        ]
        if let byte = plain[code] { return characters.append(byte) }
        guard code == UInt8(ascii: "u") else { throw fault("an unknown escape in a text") }
        var unit = try hexadecimal()
        if (0xd800..<0xdc00).contains(unit), take("\\"), take("u") {
            let low = try hexadecimal()
            guard (0xdc00..<0xe000).contains(low) else { throw fault("half a pair of surrogates") }
            unit = 0x10000 + (unit - 0xd800) << 10 + (low - 0xdc00)
        }
        guard let scalar = Unicode.Scalar(unit) else { throw fault("half a pair of surrogates") }
        characters += Array(String(Character(scalar)).utf8)
    }

    private mutating func hexadecimal() throws -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard place < bytes.count, let digit = Character(Unicode.Scalar(bytes[place])).hexDigitValue,
                bytes[place] < 0x80
            else { throw fault("no four hexadecimal digits behind \\u") }
            value = value << 4 | UInt32(digit)
            place += 1
        }
        return value
    }
}
