import Foundation
import Shards
import TestSupport
import Testing

@Suite struct JSONParserTests {
    private func parsed(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }

    /// What the other parser on this machine makes of it.
    private func peer(_ bytes: [UInt8]) -> JSONValue? { try? JSONDecoder().decode(JSONValue.self, from: Data(bytes)) }

    private func random(_ depth: Int, _ random: inout Seeded) -> JSONValue {
        switch Int.random(in: 0..<(depth > 0 ? 8 : 6), using: &random) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &random))
        case 2:
            return .integer(Int64.random(in: .min ... .max, using: &random) >> Int64.random(in: 0..<64, using: &random))
        case 3:
            // Whole numbers between 2^53 and 2^63 with an exponent are read otherwise: see below.
            let exponent = Int.random(in: -200...200, using: &random)
            let value = Double.random(in: 1...10, using: &random) * pow(10, Double(exponent))
            return .number((14...19).contains(exponent) ? -value * 1e30 : value)
        case 4, 5: return .string(text(&random))
        case 6: return .array((0..<Int.random(in: 0..<5, using: &random)).map { _ in self.random(depth - 1, &random) })
        default:
            return .object(
                Dictionary(
                    (0..<Int.random(in: 0..<5, using: &random)).map { _ in
                        (text(&random), self.random(depth - 1, &random))
                    }
                ) {
                    $1
                })
        }
    }

    private func text(_ random: inout Seeded) -> String {
        let characters: [Character] = ["a", "B", "\"", "\\", "/", "\n", "\t", "\u{1}", "é", "Δ", "𝜂", "\u{7f}", " "]
        return String(
            (0..<Int.random(in: 0..<8, using: &random)).compactMap { _ in characters.randomElement(using: &random) })
    }

    @Test func `values come back as Foundation writes and reads them`() throws {
        var random = Seeded(1)
        for _ in 0..<500 {
            let value = self.random(4, &random)
            for pretty in [false, true] {
                let bytes = [UInt8](try CanonicalJSON.data(value, pretty: pretty))
                let found = try JSONValue(parsing: bytes)
                #expect(found == peer(bytes))
                #expect(try CanonicalJSON.data(found, pretty: pretty) == CanonicalJSON.data(value, pretty: pretty))
            }
        }
    }

    @Test func `escapes, pairs of surrogates and numbers are read as the RFC has them`() throws {
        #expect(try parsed(#" "\u0041\u00e9\ud835\udf02\/\b\f" "#) == .string("Aé𝜂/\u{8}\u{c}"))
        #expect(
            try parsed("[0,-0,1.0,1e2,1.5,-9223372036854775808,9223372036854775807]")
                == .array([
                    .integer(0), .integer(0), .integer(1), .integer(100), .number(1.5), .integer(.min), .integer(.max),
                ]))
        #expect(try parsed("9223372036854775808") == .number(9.223372036854775808e18))
        // Foundation reads the digits as a whole number, which then is another one.
        let large = JSONValue.number(4.038775862993409e17)
        #expect(try JSONValue(parsing: [UInt8](CanonicalJSON.data(large, pretty: false))) == large)
        #expect(try parsed(#"{"a":1,"a":2}"#) == .object(["a": .integer(2)]))
    }

    @Test(arguments: [
        "", " ", "[", "]", "{", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "01", "-", "1.", ".5",
        "1e", "+1",
        "nul", "truex", "\"", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u+123\"", "\"\\ud835\"", "\"\\ud835\\u0041\"",
        "\"\n\"", "1 2",
        "[1 2]", "NaN", "Infinity", "1e999", "'a'", "[1]]",
    ])
    func `what is no JSON is an error that says where`(text: String) {
        let failure = #expect(throws: DecodingError.self) { try parsed(text) }
        guard case .dataCorrupted(let context)? = failure else { return #expect(Bool(false), "\(text)") }
        #expect(context.debugDescription.contains("at byte"))
    }

    @Test func `bytes that are no UTF-8 and nesting without end are errors`() {
        #expect(throws: DecodingError.self) { try JSONValue(parsing: [0x22, 0xff, 0x22]) }
        #expect(throws: DecodingError.self) { try JSONValue(parsing: [0x22, 0x5c, 0x6e, 0xc3, 0x22]) }
        let deep = Array(repeating: UInt8(ascii: "["), count: 1_000_000)
        #expect(throws: DecodingError.self) { try JSONValue(parsing: deep) }
        #expect(throws: DecodingError.self) { try JSONValue(parsing: Array("[[[1]]]".utf8), depth: 2) }
        #expect(throws: Never.self) { try JSONValue(parsing: Array("[[[1]]]".utf8), depth: 3) }
    }

    @Test func `damaged JSON is accepted where Foundation accepts it, with the same value`() throws {
        var random = Seeded(2)
        let original =
            [UInt8](try CanonicalJSON.data(self.random(5, &random), pretty: true))
            + [UInt8](
                try CanonicalJSON.data(JSONValue.array((0..<20).map { _ in self.random(3, &random) }), pretty: true))
        var accepted = 0
        for _ in 0..<Package.number("PANDO_FUZZ_CATALOGUE", default: 5000) {
            let start = Int.random(in: 0..<original.count, using: &random)
            var bytes = Array(original[start..<min(original.count, start + Int.random(in: 1...60, using: &random))])
            bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...127, using: &random)
            let ours = try? JSONValue(parsing: bytes), theirs = peer(bytes)
            #expect(ours == theirs, "\(String(decoding: bytes, as: UTF8.self))")
            if ours != nil { accepted += 1 }
        }
        #expect(accepted > 10)
    }
}
