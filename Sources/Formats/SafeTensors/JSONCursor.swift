import Support

/// JSON text, token by token, for headers that must not be taken on trust: duplicate keys, numbers of any size and endless
/// nesting are seen by whoever asks. It allocates nothing but the texts that it returns.
struct JSONCursor {
    private let bytes: UnsafeRawBufferPointer
    private(set) var position = 0

    /// Text that the caller keeps alive.
    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Whether nothing but white space is left.
    mutating func isAtEnd() -> Bool {
        skipSpace()
        return position == bytes.count
    }

    /// Reads an object: `member` gets each key and must read its value.
    mutating func object(
        _ member: (inout JSONCursor, String) throws(SafeTensorsError) -> Void
    ) throws(SafeTensorsError) {
        try expect(UInt8(ascii: "{"))
        if takes(UInt8(ascii: "}")) { return }
        repeat {
            let key = try string()
            try expect(UInt8(ascii: ":"))
            try member(&self, key)
        } while takes(UInt8(ascii: ","))
        try expect(UInt8(ascii: "}"))
    }

    /// Reads an array of numbers that are not negative.
    mutating func naturals(atMost limit: Int) throws(SafeTensorsError) -> [Int] {
        try expect(UInt8(ascii: "["))
        var found: [Int] = []
        if takes(UInt8(ascii: "]")) { return found }
        repeat {
            guard found.count < limit else { throw damaged("more than \(limit) numbers") }
            found.append(try natural())
        } while takes(UInt8(ascii: ","))
        try expect(UInt8(ascii: "]"))
        return found
    }

    /// Reads a whole number that is not negative.
    mutating func natural() throws(SafeTensorsError) -> Int {
        skipSpace()
        let start = position
        var value = 0
        while let byte = peek(), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
            let (tens, tooLarge) = value.multipliedReportingOverflow(by: 10)
            let (sum, stillTooLarge) = tens.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
            guard !tooLarge, !stillTooLarge else { throw damaged("a number beyond 64 bits") }
            value = sum
            position += 1
        }
        guard position > start else { throw damaged("a whole number that is not negative was expected") }
        let isPadded = position > start + 1 && bytes[start] == UInt8(ascii: "0")
        let goesOn = peek().map { [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains($0) } ?? false
        guard !isPadded, !goesOn else { throw damaged("a whole number in plain digits was expected") }
        return value
    }

    /// Reads a text.
    mutating func string() throws(SafeTensorsError) -> String {
        try expect(UInt8(ascii: "\""))
        let start = position
        while let byte = peek(), byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
        if peek() == UInt8(ascii: "\"") {
            defer { position += 1 }
            return try text(UnsafeRawBufferPointer(rebasing: bytes[start..<position]))
        }
        // The rare text with escapes.
        var unescaped = Array(bytes[start..<position])
        while let byte = peek(), byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw damaged("a control character in a text") }
            position += 1
            if byte == UInt8(ascii: "\\") {
                try unescaped.append(contentsOf: String(escape()).utf8)
            } else {
                unescaped.append(byte)
            }
        }
        try expect(UInt8(ascii: "\""))
        return try text(unescaped)
    }

    /// Reads a value of any kind and forgets it.
    mutating func skipValue(depth: Int = 0) throws(SafeTensorsError) {
        guard depth < 32 else { throw damaged("values nested more than 32 deep") }
        skipSpace()
        switch peek() {
        case UInt8(ascii: "{"):
            try object { cursor, _ throws(SafeTensorsError) in try cursor.skipValue(depth: depth + 1) }
        case UInt8(ascii: "["):
            position += 1
            if takes(UInt8(ascii: "]")) { return }
            repeat { try skipValue(depth: depth + 1) } while takes(UInt8(ascii: ","))
            try expect(UInt8(ascii: "]"))
        case UInt8(ascii: "\""): _ = try string()
        default:
            let start = position
            while let byte = peek(), Self.isBare(byte) { position += 1 }
            guard position > start else { throw damaged("a value was expected") }
        }
    }

    /// Passes `null`, if it is next.
    mutating func takesNull() -> Bool {
        skipSpace()
        guard position + 4 <= bytes.count, bytes[position..<position + 4].elementsEqual("null".utf8) else {
            return false
        }
        position += 4
        return true
    }

    /// An error at the present place.
    func damaged(_ message: String) -> SafeTensorsError {
        SafeTensorsError(.damaged, place: "byte \(position)", message: message, advice: copyAgain)
    }

    private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = peek(), byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { position += 1 }
    }

    private mutating func takes(_ wanted: UInt8) -> Bool {
        skipSpace()
        guard peek() == wanted else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ wanted: UInt8) throws(SafeTensorsError) {
        guard takes(wanted) else { throw damaged("'\(Character(UnicodeScalar(wanted)))' was expected") }
    }

    /// A character of numbers, `true`, `false` and `null`.
    private static func isBare(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "E"),
            UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    private func text(_ bytes: some Collection<UInt8>) throws(SafeTensorsError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw damaged("a text that is no UTF-8") }
        return text
    }

    /// The character that an escape stands for, behind its backslash.
    private mutating func escape() throws(SafeTensorsError) -> Character {
        guard let byte = peek() else { throw damaged("a text without end") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Character(UnicodeScalar(byte))
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): break
        default: throw damaged("an unknown escape")
        }
        var code = try hexadecimal()
        if (0xd800..<0xdc00).contains(code), position + 2 <= bytes.count, bytes[position] == UInt8(ascii: "\\"),
            bytes[position + 1] == UInt8(ascii: "u")
        {
            position += 2
            let low = try hexadecimal()
            guard (0xdc00..<0xe000).contains(low) else { throw damaged("half of a surrogate pair") }
            code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
        }
        guard let scalar = UnicodeScalar(code) else { throw damaged("half of a surrogate pair") }
        return Character(scalar)
    }

    private mutating func hexadecimal() throws(SafeTensorsError) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = peek().flatMap({ Character(UnicodeScalar($0)).hexDigitValue }) else {
                throw damaged("four hexadecimal digits were expected")
            }
            code = code << 4 | UInt32(digit)
            position += 1
        }
        return code
    }
}

extension String {
    /// This text in quotation marks, with the escapes that JSON needs and no others.
    var quotedForJSON: String {
        var quoted = "\""
        for scalar in unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\u{8}": quoted += "\\b"
            case "\u{c}": quoted += "\\f"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            case "\u{0}"..<"\u{20}":
                quoted += (scalar.value < 16 ? "\\u000" : "\\u00") + String(scalar.value, radix: 16)
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
