export async function getServerSideProps() {
  return { props: { text: "what is paid for" } };
}

export default function Paid({ text }) {
  return <p>{text}</p>;
}
